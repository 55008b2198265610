"""The one command on a host that cannot prove yet who it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from ssh_harness import Server, eventually, processes_with

from kutti_sdk.core.errors import HostKeyMismatchError, SSHAuthenticationError
from kutti_sdk.core.ssh import CommandResult, SSHCredentials
from kutti_sdk.ssh.keys import generate_host_key
from kutti_sdk.ssh.unverified import run_unverified

pytestmark = pytest.mark.anyio


async def ask(
    server: Server,
    command: str,
    *,
    answer: str = "right",
    stdin: str = "",
    credentials: SSHCredentials | None = None,
) -> CommandResult:
    return await run_unverified(
        server.address,
        credentials or server.credentials,
        command,
        stdin=stdin,
        question="echo right",
        answer=answer,
        host="node1",
    )


async def test_a_host_with_the_right_answer_runs_the_command(sshd: Server) -> None:
    result = await ask(sshd, "cat; echo oh >&2; exit 3", stdin="told")
    assert (result.stdout, result.stderr, result.exit_status) == ("told", "oh\n", 3)


async def test_its_host_key_is_not_looked_at(sshd: Server) -> None:
    unknown = replace(sshd.credentials, host_key=generate_host_key().public_line)
    assert (await ask(sshd, "true", credentials=unknown)).ok


async def test_a_host_with_another_answer_is_told_nothing(sshd: Server, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with pytest.raises(HostKeyMismatchError, match="another machine") as caught:
        await ask(sshd, f"cat > {told}", answer="wrong", stdin="secret")
    assert caught.value.host == "node1"
    await eventually(lambda: not sshd.sessions())
    assert not told.exists()


async def test_a_user_who_may_not_log_in_is_told_so(sshd: Server) -> None:
    stranger = replace(sshd.credentials, private_key=None, password="wrong")
    with pytest.raises(SSHAuthenticationError):
        await ask(sshd, "true", credentials=stranger)


async def test_calling_it_off_closes_the_connection(sshd: Server) -> None:
    with anyio.move_on_after(2) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, sshd, "sleep 987")
            await eventually(lambda: bool(processes_with("sleep 987")))
            group.cancel_scope.cancel()
    assert not scope.cancelled_caught
    await eventually(lambda: not sshd.sessions())
