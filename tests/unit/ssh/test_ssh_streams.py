"""Streams: order, text, early leave, back-pressure."""

from __future__ import annotations

import secrets
from pathlib import Path

import anyio
import pytest
from ssh_harness import Proxy, Server, eventually, processes_with

from kutti_sdk.core.errors import SSHConnectionError
from kutti_sdk.core.ssh import Output
from kutti_sdk.ssh import AsyncSSHClient
from kutti_sdk.ssh.commands import BUFFER

pytestmark = pytest.mark.anyio


async def test_pieces_come_in_order_while_the_command_runs(
    client: AsyncSSHClient, sshd: Server, tmp_path: Path
) -> None:
    pieces = []
    step = f"until [ -e {tmp_path}/$n$stream ]; do sleep 0.01; done"
    script = (
        f"for n in 1 2 3; do echo out$n; stream=stdout; {step}; "
        f"echo err$n >&2; stream=stderr; {step}; done; exit 5"
    )
    async with client.stream(sshd.address, script) as command:
        async for piece in command:
            pieces.append(piece)
            # Each piece is here before the command may go on to the next.
            (tmp_path / f"{piece.text[3]}{piece.stream}").touch()
        assert await command.wait() == 5
    assert pieces == [
        Output(stream, f"{name}{number}\n")
        for number in (1, 2, 3)
        for stream, name in (("stdout", "out"), ("stderr", "err"))
    ]


async def test_characters_are_not_cut(client: AsyncSSHClient, sshd: Server) -> None:
    text = "ä€𝄞" * 100_000
    async with client.stream(sshd.address, "cat; printf '\\303'", stdin=text) as command:
        pieces = [piece.text async for piece in command]
    assert len(pieces) > 2
    assert "".join(pieces) == text + "\N{REPLACEMENT CHARACTER}"


async def test_leaving_early_ends_the_command_there(client: AsyncSSHClient, sshd: Server) -> None:
    mark = f"sleep 5{secrets.randbelow(10**8):08}"
    async with client.stream(sshd.address, f"while :; do echo x; {mark}; done") as command:
        async for piece in command:
            assert piece.text == "x\n"
            break
        assert processes_with(mark)
    assert not processes_with(mark)
    assert (await client.run_with_results(sshd.address, "echo on")).stdout == "on\n"


async def test_an_error_or_cancellation_inside_ends_the_command_there(
    client: AsyncSSHClient, sshd: Server
) -> None:
    mark = f"sleep 6{secrets.randbelow(10**8):08}"
    with pytest.raises(ZeroDivisionError):
        async with client.stream(sshd.address, f"{mark}; true"):
            await eventually(lambda: bool(processes_with(mark)))
            raise ZeroDivisionError
    assert not processes_with(mark)
    with anyio.CancelScope() as scope:
        async with client.stream(sshd.address, f"{mark}; true") as command:
            await eventually(lambda: bool(processes_with(mark)))
            scope.cancel()
            _ = [piece async for piece in command]
    await eventually(lambda: not processes_with(mark))


async def test_a_slow_reader_makes_the_host_wait(
    client: AsyncSSHClient, sshd: Server, tmp_path: Path
) -> None:
    total = 64 * 1024 * 1024
    progress = tmp_path / "progress"
    script = (
        f"for n in $(seq 64); do head -c 1048576 /dev/zero; echo $n > {progress}; done; "
        f"echo done > {progress}"
    )
    async with client.stream(sshd.address, script) as command:
        received, most = 0, 0
        async for piece in command:
            most = max(most, sum(len(data) for _, data in command._session._pieces))  # type: ignore[attr-defined]
            if received == 0:
                await client.run_with_results(sshd.address, "sleep 0.3")
                assert progress.read_text() != "done\n"
            received += len(piece.text)
    assert received == total
    assert most <= BUFFER + 3 * 1024 * 1024  # and what was under way in the channel's window


async def test_waiting_for_the_end_needs_no_reader(client: AsyncSSHClient, sshd: Server) -> None:
    async with client.stream(
        sshd.address, "head -c 20000000 /dev/zero; sleep 0.1; exit 9"
    ) as command:
        async for _ in command:
            break
        assert await command.wait() == 9


async def test_a_lost_line_is_an_error(client: AsyncSSHClient, proxy: Proxy) -> None:
    with pytest.raises(SSHConnectionError, match="was lost while"):
        async with client.stream(proxy.address, "echo x; sleep 7") as command:
            async for _ in command:
                proxy.cut()
    async with client.stream(proxy.address, "sleep 7") as command:
        proxy.cut()
        with pytest.raises(SSHConnectionError, match="was lost while"):
            await command.wait()
