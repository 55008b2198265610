"""What the API server says about nodes: asked once, or followed while it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from kutti_sdk.core.errors import SSHConnectionError
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.kubernetes.kubectl import API_IS_OPEN
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF

_LONGEST_ROW = 64 * 1024  # characters
_RETRY_STEP = 0.5  # seconds; nothing tells when a line that was lost is back

_COLUMNS = (
    "NAME:.metadata.name",
    "CIDR:.spec.podCIDR",
    "BOOT:.status.nodeInfo.bootID",
    'READY:.status.conditions[?(@.type=="Ready")].status',
)
_LIST = f"kubectl get nodes --no-headers -o custom-columns='{','.join(_COLUMNS)}'"

# A control plane that boots has no API server for a minute. A look at the port costs
# nothing; kubectl takes a second of an emulated processor.
_ASK = f"export KUBECONFIG={ADMIN_CONF}\nuntil {API_IS_OPEN} && {_LIST}; do sleep 0.5; done\n"
_FOLLOW = f"""\
export KUBECONFIG={ADMIN_CONF}
while true; do {API_IS_OPEN} && {_LIST} --watch; sleep 0.5; done
"""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What the API server says about a node.

    Attributes:
        name: Its name.
        pod_cidr: Its range of addresses for pods; empty while it has none.
        boot_id: The boot that its kubelet last told of.
        ready: Whether it counted as Ready then.
    """

    name: str
    pod_cidr: str = ""
    boot_id: str = ""
    ready: bool = False

    def is_ready(self, boot_id: str) -> bool:
        """Tell whether it is ready now, and not only was before it was switched off.

        Args:
            boot_id: The node's present boot.

        Returns:
            Whether it is.
        """
        return self.ready and self.boot_id == boot_id


class NodeTable:
    """The nodes of a cluster, as far as known.

    Args:
        control_plane: Where the API server is asked.
    """

    def __init__(self, control_plane: Guest) -> None:
        self._control_plane = control_plane
        self._changed = anyio.Event()
        self.rows: dict[str, NodeRow] = {}

    async def ask(self) -> None:
        """Ask once, as soon as the API server answers."""
        answer = await self._control_plane.run("nodes", _ASK, timeout=None)
        self.rows = {row.name: row for row in map(_parse_row, answer.stdout.splitlines())}

    async def follow(self) -> None:
        """Keep the rows up to date until cancelled."""
        while True:
            rest = ""
            try:
                async with self._control_plane.stream("watch nodes", _FOLLOW) as running:
                    async for piece in running:
                        if piece.stream == "stdout":
                            *lines, rest = (rest + piece.text).split("\n")
                            self._take(lines)
                            rest = rest[-_LONGEST_ROW:]  # of no end, it must not fill the memory
            except SSHConnectionError:  # whoever waits for a row has a time-out
                await anyio.sleep(_RETRY_STEP)

    async def wait_for(
        self, name: str, is_so: Callable[[NodeRow], object], heard: Callable[[str], None]
    ) -> NodeRow:
        """Wait until something is so.

        Args:
            name: Name of the node.
            is_so: Looks whether it is.
            heard: Called with a text whenever the API server has news of the node.

        Returns:
            The row for which it is.
        """
        seen = None
        while True:
            row = self.rows.get(name)
            if row is not None and is_so(row):
                return row
            if row is not None and row != seen:
                if seen is not None:
                    heard(f"{name} is {'Ready' if row.ready else 'not Ready yet'}")
                seen = row
            await self._changed.wait()

    def _take(self, lines: list[str]) -> None:
        for line in filter(None, map(str.strip, lines)):
            row = _parse_row(line)
            self.rows[row.name] = row
        self._changed.set()
        self._changed = anyio.Event()


def _parse_row(line: str) -> NodeRow:
    name, pod_cidr, boot_id, ready = (line.split() + [""] * 4)[:4]
    return NodeRow(name, "" if pod_cidr == "<none>" else pod_cidr, boot_id, ready == "True")
