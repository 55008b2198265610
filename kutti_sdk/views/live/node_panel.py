"""The controls for the nodes of a cluster.

There is one row of them for the node that is chosen, and not one in every row of the
table: thirty nodes would be two hundred buttons, and as many steps for who goes through
the page by keyboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.node import Node
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.views.live.controls import Controls, show
from kutti_sdk.views.live.task_panel import TaskPanel

_ALL = "all nodes"


class NodePanel:
    """Start, stop, delete, forward, add.

    Args:
        controls: Makes the controls.
        tasks: Does what they begin.
        cluster: Gives the cluster.
        changed: Called when another node is to be looked at.
    """

    def __init__(
        self,
        controls: Controls,
        tasks: TaskPanel,
        cluster: Callable[[], Cluster],
        changed: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._tasks = tasks
        self._names: tuple[str, ...] = ()
        self._target = controls.choice("Node", [_ALL])
        self._console = controls.toggle("Console", "Show the last lines of the console")
        self._delete = controls.button("Delete", "Remove the node and its disk; asks once more")
        self._keep = controls.passing_button("Keep it", "Do not delete")
        show(self._keep, shown=False)
        self._host_port = controls.number("Port of this machine (0 for any)", 0)
        self._vm_port = controls.number("leads to port", 80)
        self._new_name = controls.text("New node", "its name, such as node4")
        start = controls.button("Start", "Start it and wait until it answers over SSH")
        stop = controls.button("Stop", "Shut it down from inside")
        force_stop = controls.button("Force stop", "Switch it off as if its power had failed")
        forward = controls.button("Forward", "Let a port of this machine lead to the node")
        add = controls.button("Add node", "Make a node as large as the first one, and start it")
        tasks.bind(start, lambda: f"starting {self._target.value}", self._start)
        tasks.bind(stop, lambda: f"stopping {self._target.value}", self._stop)
        tasks.bind(force_stop, lambda: f"switching off {self._target.value}", self._force_stop)
        tasks.bind(forward, lambda: f"forwarding a port to {self._target.value}", self._forward)
        tasks.bind(add, lambda: f"adding {self._new_name.value}", self._add)
        tasks.hold_back(self._delete)
        self._delete.on_click(lambda _: self._delete_or_ask())
        self._keep.on_click(lambda _: self._disarm())
        self._armed: str | None = None
        self._target.observe(lambda _: self._disarm(), "value")
        for control in (self._target, self._console):
            control.observe(lambda _: changed(), "value")
        self.widget = controls.column(
            controls.row(
                self._target,
                *(start, stop, force_stop),
                *(self._console, self._delete, self._keep),
            ),
            controls.row(self._host_port, self._vm_port, forward),
            controls.row(self._new_name, add),
        )

    @property
    def consoles(self) -> tuple[str, ...]:
        """Names of the nodes whose consoles are to be shown."""
        if not self._console.value:
            return ()
        return self._names if self._target.value == _ALL else (self._target.value,)

    def set_names(self, names: Sequence[str]) -> None:
        """Offer other nodes; the one that is chosen stays so if it is still there.

        Args:
            names: Their names.
        """
        if tuple(names) == self._names:
            return
        self._names = tuple(names)
        chosen = self._target.value
        self._target.options = [_ALL, *names]
        self._target.value = chosen if chosen in names else _ALL

    def node(self, name: str) -> Node:
        """Give a node, whether the cluster's spec names it or not.

        Args:
            name: Its name.

        Returns:
            The node.
        """
        return Node(self._cluster(), name)

    def _subject(self) -> Cluster | Node:
        name = self._target.value
        return self._cluster() if name == _ALL else self.node(name)

    async def _start(self) -> None:
        await self._subject().start()

    async def _stop(self) -> None:
        await self._subject().stop()

    async def _force_stop(self) -> None:
        await self._subject().force_stop()

    async def _forward(self) -> None:
        if self._target.value == _ALL:
            raise InvalidInputError("no node is chosen", hint="Choose the one to forward to.")
        node = self.node(self._target.value)
        await node.forward(self._host_port.value, to=self._vm_port.value)

    async def _add(self) -> None:
        await self._cluster().add_node(self._new_name.value.strip())

    def _delete_or_ask(self) -> None:
        name = self._target.value
        if self._armed != name:
            self._armed = name
            what = "the whole cluster" if name == _ALL else name
            self._delete.description = f"Really delete {what}?"
            show(self._keep, shown=True)
            return
        self._disarm()
        subject = self._subject()

        async def delete() -> None:
            await subject.delete()

        self._tasks.begin(f"deleting {name}", delete)

    def _disarm(self) -> None:
        self._armed = None
        self._delete.description = "Delete"
        show(self._keep, shown=False)
