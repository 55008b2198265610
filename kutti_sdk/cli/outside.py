"""Showing that a host reaches the world outside of its network.

The world is stood for by a small server on this machine's loopback address:
hosts reach it through the gateway, by the same way out that leads to the
internet, and it also answers where there is no internet.
"""

from __future__ import annotations

import anyio
from anyio.abc import SocketAttribute, SocketStream

from kutti_sdk.clusters import Node
from kutti_sdk.core.ports import LOOPBACK
from kutti_sdk.runtime.tasks import task_group

# The user-mode network of QEMU leads connections to its gateway's own address to
# the loopback address of this machine.
_ASK = """\
gateway=$(ip route show default | cut -d " " -f 3)
exec 3<>"/dev/tcp/$gateway/{port}" && read -r -t 10 answer <&3 && echo "$answer"
"""


async def reachable_from(node: Node) -> str:
    """Let a host open a connection to this machine.

    Args:
        node: The host.

    Returns:
        The line that it received.

    Raises:
        CommandFailedError: When it could not connect.
    """

    async def greet(stream: SocketStream) -> None:
        async with stream:
            await stream.send(f"{node.name} was heard outside of its network\n".encode())

    async with await anyio.create_tcp_listener(local_host=LOOPBACK) as listener:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not of Django
        async with task_group() as group:
            group.start_soon(listener.serve, greet)
            command = f"bash -c '{_ASK.format(port=port)}'"
            answer = await node.run(command, timeout=60, check=True)
            group.cancel_scope.cancel()
    return answer.stdout.strip()
