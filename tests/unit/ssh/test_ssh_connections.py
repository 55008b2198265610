"""Connections: kept, shared, made anew; who is let in and who is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import asyncssh
import pytest
from sleeping import sleeping_machine
from ssh_harness import Proxy, Server, eventually, other, processes_with, start_server, stop_server

from kutti_sdk.core.errors import (
    HostKeyMismatchError,
    InvalidInputError,
    SSHAuthenticationError,
    SSHConnectionError,
)
from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.runtime.island import on_island
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.ssh import AsyncSSHClient, generate_host_key

pytestmark = pytest.mark.anyio


async def test_clients_share_one_connection(
    client: AsyncSSHClient, sshd: Server, proxy: Proxy
) -> None:
    clients = [AsyncSSHClient(sshd.credentials) for _ in range(5)]
    await run_all(*[lambda one=one: one.run_with_results(proxy.address, "true") for one in clients])
    await client.run_with_results(proxy.address, "true")
    assert proxy.accepted == 1


async def test_a_command_goes_on_after_hours_of_sleep(
    client: AsyncSSHClient, sshd: Server, proxy: Proxy, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"

    async def sleep() -> None:
        await eventually(begun.exists)
        machine.sleep()
        await anyio.sleep(0.3)
        machine.sleep()

    with sleeping_machine(tmp_path) as machine:
        command = f"touch {begun}; sleep 1; echo awake"
        result, _ = await run_all(lambda: client.run_with_results(proxy.address, command), sleep)
        assert result.stdout == "awake\n"
        assert (await client.run_with_results(proxy.address, "echo again")).stdout == "again\n"


async def test_a_lost_connection_is_made_anew(
    client: AsyncSSHClient, sshd: Server, proxy: Proxy
) -> None:
    await client.run_with_results(proxy.address, "true")
    proxy.cut()
    assert (await client.run_with_results(proxy.address, "echo back")).stdout == "back\n"
    assert proxy.accepted == 2
    for session in sshd.sessions():
        session.kill()
    assert (await client.run_with_results(proxy.address, "echo again")).stdout == "again\n"
    assert proxy.accepted == 3


async def test_a_command_that_may_have_begun_is_not_begun_again(
    client: AsyncSSHClient, proxy: Proxy, tmp_path: Path
) -> None:
    count = tmp_path / "count"

    async def cut_when_begun() -> None:
        await eventually(count.exists)
        proxy.cut()

    with pytest.raises(SSHConnectionError, match="was lost while") as caught:
        async with anyio.create_task_group() as group:
            group.start_soon(cut_when_begun)
            try:
                await client.run_with_results(proxy.address, f"echo x >> {count}; sleep 5")
            except SSHConnectionError as error:
                failure = error
        raise failure
    assert caught.value.host == "node1"
    assert "not begun again" in (caught.value.hint or "")
    await client.run_with_results(proxy.address, "true")
    assert count.read_text() == "x\n"


async def test_closing_a_client_closes_what_it_used(client: AsyncSSHClient, sshd: Server) -> None:
    await client.run_with_results(sshd.address, "true")
    assert sshd.sessions()
    await client.aclose()
    await eventually(lambda: not sshd.sessions())
    assert (await client.run_with_results(sshd.address, "echo on")).stdout == "on\n"


async def test_closing_leaves_running_commands_alone(client: AsyncSSHClient, sshd: Server) -> None:
    async with client.stream(sshd.address, "echo begun; cat", stdin="rest") as command:
        await client.aclose()
        assert "".join([piece.text async for piece in command]) == "begun\nrest"
    await eventually(lambda: not sshd.sessions())


async def test_idle_connections_are_closed(
    client: AsyncSSHClient, sshd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.run_with_results(sshd.address, "true")
    monkeypatch.setattr("kutti_sdk.ssh.connections.IDLE_TIME", 0.1)
    await client.run_with_results(sshd.address, "true")
    await eventually(lambda: not sshd.sessions())


async def test_another_host_at_the_address_is_refused(sshd: Server, anyio_backend: str) -> None:
    expected = generate_host_key().public_line
    stranger = other(sshd.credentials, host_key=expected)
    with pytest.raises(HostKeyMismatchError, match="did not prove to be") as caught:
        await stranger.run_with_results(sshd.address, "true")
    assert "port forwards" in (caught.value.hint or "")
    assert caught.value.host == sshd.address
    shown = sshd.credentials.host_key
    assert shown is not None
    for line in (shown, expected):  # as ssh-keygen -l shows them
        assert asyncssh.import_public_key(line).get_fingerprint() in caught.value.message


async def test_a_host_with_keys_of_another_kind_is_refused(
    sshd: Server, anyio_backend: str
) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa").export_public_key().decode()
    with pytest.raises(HostKeyMismatchError, match="did not prove to be"):
        await other(sshd.credentials, host_key=rsa).run_with_results(sshd.address, "true")


async def test_known_hosts_are_looked_up(
    sshd: Server, tmp_path: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known_hosts"
    line = f"[127.0.0.1]:{sshd.port} {sshd.credentials.host_key}\n"
    for text in (None, "", line.replace(str(sshd.port), "1")):
        if text is not None:
            known.write_text(text)
        with pytest.raises(HostKeyMismatchError, match="did not prove") as caught:
            await other(sshd.credentials, host_key=None, known_hosts=known).run_with_results(
                sshd.address, "true"
            )
        assert str(known) in (caught.value.hint or "")
        assert "it shows the key SHA256:" in caught.value.message
    known.write_text(line)
    friend = other(sshd.credentials, host_key=None, known_hosts=known)
    assert (await friend.run_with_results(sshd.address, "true")).ok
    await friend.aclose()

    monkeypatch.setenv("HOME", str(tmp_path))
    user = other(sshd.credentials, host_key=None)
    with pytest.raises(HostKeyMismatchError):
        await user.run_with_results(sshd.address, "true")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(line)
    assert (await user.run_with_results(sshd.address, "true")).ok
    await user.aclose()


async def test_a_host_key_that_is_none_is_bad_input(sshd: Server, anyio_backend: str) -> None:
    with pytest.raises(InvalidInputError, match="not an OpenSSH public key"):
        await other(sshd.credentials, host_key="nonsense").run_with_results(sshd.address, "true")


async def test_wrong_keys_and_users_are_told(
    sshd: Server, tmp_path: Path, anyio_backend: str
) -> None:
    (tmp_path / "wrong").write_text(generate_host_key().private_text)
    with pytest.raises(SSHAuthenticationError, match="does not let") as caught:
        await other(sshd.credentials, private_key=tmp_path / "wrong").run_with_results(
            sshd.address, "true"
        )
    assert "wrong" in (caught.value.hint or "")
    with pytest.raises(SSHAuthenticationError, match="'nobody-here'"):
        await other(sshd.credentials, username="nobody-here").run_with_results(sshd.address, "true")
    with pytest.raises(SSHAuthenticationError, match="cannot be used"):
        await other(sshd.credentials, private_key=tmp_path / "absent").run_with_results(
            sshd.address, "true"
        )


async def test_nothing_but_what_was_given_is_offered(
    sshd: Server, tmp_path: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    key = tmp_path / ".ssh" / "id_ed25519"
    key.touch(mode=0o600)
    assert sshd.credentials.private_key is not None
    key.write_bytes(sshd.credentials.private_key.read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SSHAuthenticationError, match="does not let") as caught:
        await other(sshd.credentials, private_key=None).run_with_results(sshd.address, "true")
    assert "Offered: nothing" in (caught.value.hint or "")


@pytest.fixture
def agent(sshd: Server, tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    environment = os.environ | {"SSH_AUTH_SOCK": str(path)}
    assert sshd.credentials.private_key is not None
    while not path.exists():
        assert process.poll() is None
    subprocess.run(
        ["ssh-add", "-q", sshd.credentials.private_key],
        env=environment,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    yield str(path)
    process.terminate()
    process.wait()


async def test_the_agent_is_asked_only_on_request(
    sshd: Server, agent: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    with pytest.raises(SSHAuthenticationError):
        await other(sshd.credentials, private_key=None).run_with_results(sshd.address, "true")
    friend = other(sshd.credentials, private_key=None, use_agent=True)
    assert (await friend.run_with_results(sshd.address, "true")).ok
    await friend.aclose()
    monkeypatch.setenv("SSH_AUTH_SOCK", agent + "-gone")
    with pytest.raises(SSHAuthenticationError, match="agent"):
        await friend.run_with_results(sshd.address, "true")


class _PasswordServer(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("lab", "right")


@pytest.fixture
async def password_server(anyio_backend: str) -> AsyncIterator[tuple[str, str]]:
    key = generate_host_key()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_PasswordServer,
            server_host_keys=[asyncssh.import_private_key(key.private_text)],
            process_factory=lambda process: process.exit(0),
        )

    acceptor = await on_island(listen)

    async def close() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    yield f"127.0.0.1:{acceptor.get_port()}", key.public_line
    await on_island(close)


async def test_passwords(password_server: tuple[str, str]) -> None:
    address, host_key = password_server
    right = SSHCredentials("lab", password="right", host_key=host_key)
    assert "right" not in repr(right)
    client = AsyncSSHClient(right)
    assert (await client.run_with_results(address, "anything")).ok
    await client.aclose()
    with pytest.raises(SSHAuthenticationError) as caught:
        await other(right, password="wrong").run_with_results(address, "anything")
    assert "wrong" not in str(caught.value)


class _Answering:
    """A TCP server that answers each connection in its own way."""

    def __init__(self, answer: bytes, *, close: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer, self._close = answer, close
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self._open.append(one)
                one.sendall(self._answer)
                if self._close:
                    one.close()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (*self._open, self._listener):
            one.close()


@pytest.mark.parametrize(
    ("answer", "close", "told"),
    [
        (b"", False, "did not complete a log-in within 0.3 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10, False, "did not complete|before the log-in"),
        (b"\x00\xff" * 50_000, False, "did not complete|before the log-in"),
        (b"SSH-2.0-short\r\n", True, "before the log-in was complete"),
        (b"SSH-2.0-garbage\r\n" + b"\x00\x00\x00\x01" * 99, False, "before the log-in"),
        (b"", True, "before the log-in was complete"),
    ],
)
async def test_what_is_no_ssh_server_is_told_apart(
    sshd: Server, anyio_backend: str, answer: bytes, close: bool, told: str
) -> None:
    server = _Answering(answer, close=close)
    try:
        client = AsyncSSHClient(sshd.credentials, connect_timeout=0.3)
        with pytest.raises(SSHConnectionError, match=told) as caught:
            await client.run_with_results(server.address, "true")
        assert caught.value.hint
    finally:
        server.stop()


async def test_nobody_at_the_address(sshd: Server, anyio_backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = AsyncSSHClient(sshd.credentials)
    with pytest.raises(SSHConnectionError, match="nothing listens"):
        await client.run_with_results(f"127.0.0.1:{port}", "true")
    with pytest.raises(InvalidInputError):
        await client.run_with_results("127.0.0.1:port", "true")


async def test_every_waiting_caller_gets_an_error_of_its_own(
    sshd: Server, anyio_backend: str
) -> None:
    stranger = other(sshd.credentials, host_key=generate_host_key().public_line)
    errors = []

    async def attempt() -> None:
        try:
            await stranger.run_with_results(sshd.address, "true")
        except HostKeyMismatchError as error:
            errors.append(error)

    await run_all(attempt, attempt, attempt)
    assert len({id(error) for error in errors}) == 3


async def test_commands_are_ended_where_the_server_takes_no_marks(
    tmp_path: Path, anyio_backend: str
) -> None:
    # Then nothing can be looked up, but nothing hangs and no channel is kept either.
    server = start_server(tmp_path, accept_env="LANG")
    client = AsyncSSHClient(server.credentials)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(client.run_with_results, server.address, "sleep 345678901")
            await eventually(lambda: bool(processes_with("sleep 345678901")))
            (first,) = server.sessions()
            group.cancel_scope.cancel()
        assert (await client.run_with_results(server.address, "echo on")).stdout == "on\n"
        await eventually(lambda: not first.is_running())
    finally:
        for left in processes_with("sleep 345678901"):
            left.kill()
        stop_server(server)
