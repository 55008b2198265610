"""Waiting for the banner: what is no sign of life, and what is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import anyio
import pytest
from ssh_harness import Server, eventually

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.ssh import AsyncSSHClient
from kutti_sdk.ssh.readiness import MOST_OPEN

pytestmark = pytest.mark.anyio

Behaviour = Callable[[int, socket.socket], None]


class Port:
    """A TCP port whose server does as told with its n-th connection."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = 0
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def still_open(self) -> int:
        """Connections that the other side has not closed."""
        number = 0
        for one in self._sockets:
            one.setblocking(False)
            try:
                number += one.recv(1) != b""
            except BlockingIOError:
                number += 1
            except OSError:
                pass
        return number

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (*self._sockets, self._listener):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self._sockets.append(one)
                self._behave(self.accepted, one)
                self.accepted += 1


@pytest.fixture
def port() -> Iterator[Callable[[Behaviour], Port]]:
    ports: list[Port] = []

    def open_port(behave: Behaviour) -> Port:
        ports.append(Port(behave))
        return ports[-1]

    yield open_port
    for one in ports:
        one.stop()


def silent(number: int, connection: socket.socket) -> None:
    """Accept and say nothing, as a forwarded port of a host that boots."""


async def test_a_real_server_is_ready(client: AsyncSSHClient, sshd: Server) -> None:
    with anyio.fail_after(20):
        await client.wait_until_ready(sshd.address)
    await client.aclose()


async def test_the_first_command_uses_the_connection_that_was_waited_with(
    client: AsyncSSHClient, sshd: Server
) -> None:
    await client.wait_until_ready(sshd.address)
    greeted = {process.pid for process in sshd.sessions()}
    assert (await client.run_with_results(sshd.address, "echo hi")).stdout == "hi\n"
    assert len(greeted) == 1
    assert greeted <= {process.pid for process in sshd.sessions()}
    await client.aclose()


async def test_a_server_that_gave_up_waiting_is_connected_to_again(
    client: AsyncSSHClient, sshd: Server
) -> None:
    await client.wait_until_ready(sshd.address)
    for process in sshd.sessions():
        process.kill()
    await eventually(lambda: not sshd.sessions())
    assert (await client.run_with_results(sshd.address, "echo hi")).stdout == "hi\n"
    await client.aclose()


async def test_connections_that_hang_do_not_hide_the_start(
    client: AsyncSSHClient, port: Callable[[Behaviour], Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.ssh.readiness.PATIENCE", 0.1)

    def wake_up_late(number: int, connection: socket.socket) -> None:
        if number >= 5:
            connection.sendall(b"SSH-2.0-late\r\n")

    server = port(wake_up_late)
    with anyio.fail_after(20):
        await client.wait_until_ready(server.address)
    await eventually(lambda: server.still_open() == 1)  # kept for the first command
    await client.aclose()
    await eventually(lambda: server.still_open() == 0)


async def test_a_slow_banner_is_waited_for_and_may_follow_other_lines(
    client: AsyncSSHClient, port: Callable[[Behaviour], Port]
) -> None:
    timers = []

    def greet_slowly(_number: int, connection: socket.socket) -> None:
        connection.sendall(b"Welcome to SSH-land\r\nand so")

        def go_on() -> None:
            with suppress(OSError):
                connection.sendall(b" on\r\nSSH-2.0-x")

        timers.append(threading.Timer(1.3, go_on))
        timers[-1].start()

    server = port(greet_slowly)
    with anyio.fail_after(20):
        await client.wait_until_ready(server.address)
    for timer in timers:
        timer.join()
    await eventually(lambda: server.still_open() == 0)


async def test_silence_is_no_sign_and_few_connections_are_open(
    client: AsyncSSHClient, port: Callable[[Behaviour], Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.ssh.readiness.PATIENCE", 0.1)
    server = port(silent)
    most = 0
    with anyio.move_on_after(3):
        async with anyio.create_task_group() as group:
            group.start_soon(client.wait_until_ready, server.address)
            while True:
                await anyio.sleep(0.1)
                most = max(most, server.still_open())
    assert server.accepted > MOST_OPEN
    assert most <= MOST_OPEN + 2  # one may be closing, another opening
    await eventually(lambda: server.still_open() == 0)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 200 OK\r\n\r\n", b"no SSH-2.0-server\r\n", b"x" * 100_000, b""]
)
async def test_other_servers_are_not_ready(
    client: AsyncSSHClient, port: Callable[[Behaviour], Port], answer: bytes
) -> None:
    def answer_and_close(_number: int, connection: socket.socket) -> None:
        connection.settimeout(5)
        with suppress(OSError):
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

    server = port(answer_and_close)
    with anyio.move_on_after(0.5) as scope:
        await client.wait_until_ready(server.address)
    assert scope.cancelled_caught
    await eventually(lambda: server.still_open() == 0)


async def test_a_refused_port_is_tried_again(
    client: AsyncSSHClient, port: Callable[[Behaviour], Port]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]

    async def wait_and_close() -> None:
        await client.wait_until_ready(f"127.0.0.1:{number}")
        await client.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(wait_and_close)
        await anyio.sleep(0.3)
        with socket.create_server(("127.0.0.1", number)) as listener, anyio.fail_after(20):
            one, _ = await anyio.to_thread.run_sync(listener.accept)
            with one:
                one.sendall(b"SSH-2.0-x\r\n")
                with suppress(ConnectionResetError):  # as what was sent is never read
                    assert await anyio.to_thread.run_sync(one.recv, 1) == b""


async def test_what_is_no_address_is_refused(client: AsyncSSHClient) -> None:
    with pytest.raises(InvalidInputError):
        await client.wait_until_ready("127.0.0.1:0")
