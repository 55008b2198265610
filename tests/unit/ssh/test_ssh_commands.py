"""Commands: results, time-outs, cancellation and many at once."""

from __future__ import annotations

import secrets
from pathlib import Path

import anyio
import psutil
import pytest
from ssh_harness import Server, eventually, processes_with, start_server, stop_server

from kutti_sdk.core.errors import CommandFailedError, CommandTimeoutError
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.ssh import AsyncSSHClient

pytestmark = pytest.mark.anyio


def sleeping() -> tuple[str, str]:
    """A command that hangs, and a text by which its process is found."""
    seconds = f"3{secrets.randbelow(10**8):08}"
    return f"sleep {seconds}; true", f"sleep {seconds}"


async def test_output_and_status_are_told_apart(client: AsyncSSHClient, sshd: Server) -> None:
    result = await client.run_with_results(sshd.address, "echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_status) == ("out\n", "err\n", 3)
    assert (result.ok, result.host) == (False, "node1")
    assert result.duration > 0


async def test_a_signal_is_a_negative_status(client: AsyncSSHClient, sshd: Server) -> None:
    result = await client.run_with_results(sshd.address, "kill -9 $$")
    assert result.exit_status == -9


async def test_check_raises_with_the_whole_result(client: AsyncSSHClient, sshd: Server) -> None:
    with pytest.raises(CommandFailedError, match="status 4") as caught:
        await client.run_with_results(sshd.address, "echo why >&2; exit 4", check=True)
    assert caught.value.result.stderr == "why\n"
    assert (caught.value.host, caught.value.hint) == ("node1", "why")
    assert (await client.run_with_results(sshd.address, "true", check=True)).ok


async def test_input_reaches_the_command_and_ends(client: AsyncSSHClient, sshd: Server) -> None:
    text = "grüße\n" * 200_000
    assert (await client.run_with_results(sshd.address, "cat", stdin=text)).stdout == text
    assert (await client.run_with_results(sshd.address, "cat")).stdout == ""


async def test_large_and_undecodable_output(client: AsyncSSHClient, sshd: Server) -> None:
    result = await client.run_with_results(sshd.address, "head -c 100000000 /dev/zero")
    assert len(result.stdout) == 100_000_000
    result = await client.run_with_results(sshd.address, r"printf 'a\377b'")
    assert result.stdout == "a\N{REPLACEMENT CHARACTER}b"


async def test_a_timeout_ends_the_command_there(client: AsyncSSHClient, sshd: Server) -> None:
    command, mark = sleeping()
    with pytest.raises(CommandTimeoutError, match=r"within 0\.5 s on node1"):
        await client.run_with_results(sshd.address, command, timeout=0.5)
    assert not processes_with(mark)


async def test_a_command_that_ignores_termination_is_killed(
    client: AsyncSSHClient, sshd: Server
) -> None:
    command, mark = sleeping()
    with pytest.raises(CommandTimeoutError):
        await client.run_with_results(sshd.address, f"trap '' TERM; {command}", timeout=0.5)
    await eventually(lambda: not processes_with(mark))


async def test_cancellation_ends_the_command_there_and_frees_its_channel(
    client: AsyncSSHClient, sshd: Server
) -> None:
    command, mark = sleeping()
    for _ in range(12):  # more than there are channels in a connection
        async with anyio.create_task_group() as group:
            group.start_soon(client.run_with_results, sshd.address, command)
            await eventually(lambda: bool(processes_with(mark)))
            group.cancel_scope.cancel()
    await eventually(lambda: not processes_with(mark))
    assert (await client.run_with_results(sshd.address, "echo alive")).stdout == "alive\n"
    assert len(sshd.sessions()) <= 2  # one may have been opened for the killing


async def test_cancellation_while_starting_leaves_nothing(
    client: AsyncSSHClient, sshd: Server
) -> None:
    command, mark = sleeping()
    await client.run_with_results(sshd.address, "true")
    for step in range(12):
        with anyio.move_on_after(step * 0.001):
            await client.run_with_results(sshd.address, command)
    await eventually(lambda: not processes_with(mark))
    assert (await client.run_with_results(sshd.address, "echo alive")).stdout == "alive\n"


async def test_fifty_long_commands_at_once(client: AsyncSSHClient, sshd: Server) -> None:
    mark = f"4{secrets.randbelow(10**8):08}"
    results = []
    async with anyio.create_task_group() as group:

        async def wait_for_all_others() -> None:
            command = f"sleep {mark} & echo begun; wait; exit 7"
            results.append(await client.run_with_results(sshd.address, command))

        for _ in range(50):
            group.start_soon(wait_for_all_others)

        def asleep() -> list[psutil.Process]:
            return [one for one in processes_with(f"sleep {mark}") if one.name() == "sleep"]

        # Every one of them runs: none waits for another to end.
        await eventually(lambda: len(asleep()) == 50)
        for process in asleep():
            process.kill()
    assert [result.exit_status for result in results] == [7] * 50


async def test_a_server_that_grants_one_channel_only_makes_commands_queue(
    tmp_path: Path, anyio_backend: str
) -> None:
    server = start_server(tmp_path, "MaxSessions 1")
    client = AsyncSSHClient(server.credentials)
    try:
        results = await run_all(
            *[lambda: client.run_with_results(server.address, "echo ok") for _ in range(10)]
        )
        assert [result.stdout for result in results] == ["ok\n"] * 10
        await client.aclose()
        await eventually(lambda: not server.sessions())
    finally:
        stop_server(server)
