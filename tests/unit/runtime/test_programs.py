"""Programs are run to their end or ended, and daemons are born whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.runtime.processes import (
    ProcessIdentity,
    end_unfinished,
    follow,
    identify,
    identity_from_pidfile,
    is_alive,
    run,
    start_daemon,
    terminate,
    wait_for_exit,
)

pytestmark = pytest.mark.anyio


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


# Starts a child that hears no SIGTERM and holds all standard streams; writes its number.
PARENT = """
(trap "" TERM; exec sleep 60) &
echo $! >"$0.new"
mv "$0.new" "$0"
"""


class Family:
    """A program that starts a child and waits for it, or leaves it behind."""

    def __init__(self, pidfile: Path) -> None:
        self.pidfile = pidfile
        self.waits = ["sh", "-c", PARENT + "wait", str(pidfile)]
        self.leaves = ["sh", "-c", PARENT, str(pidfile)]

    async def until_born(self) -> ProcessIdentity | None:
        while not self.pidfile.exists():
            await anyio.sleep(0.01)
        return identify(int(self.pidfile.read_text()))

    async def until_dead(self) -> None:
        child = await self.until_born()
        if child is not None:
            with anyio.fail_after(60):
                await wait_for_exit(child)


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(tmp_path / "child.pid")


class TestRun:
    async def test_the_output_comes_back(self) -> None:
        assert await run(python("print('grüße')"), timeout=60) == "grüße\n"

    async def test_much_output_on_both_streams_does_not_block_it(self) -> None:
        script = "import sys; sys.stderr.write('x' * 2**20); print('y' * 2**20)"
        assert len(await run(python(script), timeout=60)) == 2**20 + 1

    async def test_output_that_is_not_text_is_no_error(self) -> None:
        script = r"import sys; sys.stdout.buffer.write(b'a\xffb')"
        assert await run(python(script), timeout=60) == "a\N{REPLACEMENT CHARACTER}b"

    async def test_it_has_a_session_of_its_own(self) -> None:
        script = "import os; print(os.getsid(0) == os.getpid())"
        assert await run(python(script), timeout=60) == "True\n"

    def test_it_reads_nothing_of_what_is_typed(self) -> None:
        inner = python("import sys; print(repr(sys.stdin.read()))")
        outer = f"""
import anyio
from kutti_sdk.runtime.processes import run
print(anyio.run(lambda: run({inner!r}, timeout=60)))
"""
        done = subprocess.run(python(outer), input=b"typed", stdout=subprocess.PIPE, check=True)
        assert done.stdout == b"''\n\n"

    async def test_a_failure_tells_the_end_of_the_error_output(self) -> None:
        script = "import sys; sys.exit('a' * 5000 + ' no such disk')"
        with pytest.raises(
            HypervisorError, match=r"ended with status 1: a+ no such disk$"
        ) as caught:
            await run(python(script), timeout=60)
        assert len(str(caught.value)) < 2100

    async def test_a_failure_that_is_told_on_the_standard_output_is_told_too(self) -> None:
        with pytest.raises(HypervisorError, match=r"ended with status 3: here$"):
            await run(python("print('here'); raise SystemExit(3)"), timeout=60)

    async def test_a_silent_failure_tells_its_status_only(self) -> None:
        with pytest.raises(HypervisorError, match=r"ended with status 3$"):
            await run(python("raise SystemExit(3)"), timeout=60)

    async def test_a_program_that_was_killed_is_told_apart(self) -> None:
        with pytest.raises(HypervisorError, match="was killed by signal 9"):
            await run(python("import os; os.kill(os.getpid(), 9)"), timeout=60)

    async def test_want_of_memory_is_told_with_a_hint(self) -> None:
        with pytest.raises(HypervisorError, match="Cannot allocate memory") as failure:
            await run(python("import os, sys; sys.exit(os.strerror(12))"), timeout=20)
        assert "Memory" in (failure.value.hint or "")
        with pytest.raises(HypervisorError, match="signal 9") as failure:
            await run(["sh", "-c", "kill -9 $$"], timeout=20)
        assert "memory" in (failure.value.hint or "")

    async def test_a_missing_program_is_an_error_with_a_hint(self) -> None:
        with pytest.raises(HypervisorError, match=r"(?s)no-such-qemu could not be.*Hint: .*PATH"):
            await run(["no-such-qemu"], timeout=60)

    async def test_a_file_that_is_no_program_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(HypervisorError, match="could not be started: Permission denied"):
            await run([str(tmp_path)], timeout=60)

    async def test_a_time_out_kills_the_program_and_its_children(self, family: Family) -> None:
        timeout = 0.25
        while not family.pidfile.exists():  # on a busy machine it may not even get to its child
            timeout *= 2
            with pytest.raises(HypervisorError, match=rf"sh did not end within {timeout:g} s"):
                await run(family.waits, timeout=timeout)
        await family.until_dead()

    async def test_a_time_out_tells_what_the_program_wrote(self) -> None:
        script = "import sys, time; print('waiting for a lock', file=sys.stderr, flush=True);"
        with pytest.raises(HypervisorError, match=r"within 1 s: waiting for a lock"):
            await run(python(script + "time.sleep(60)"), timeout=1)

    async def test_cancelling_kills_the_program_and_its_children(self, family: Family) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: run(family.waits, timeout=60))
            assert await family.until_born() is not None
            group.cancel_scope.cancel()
        await family.until_dead()

    async def test_a_child_that_stays_does_not_keep_it_waiting(self, family: Family) -> None:
        await run(family.leaves, timeout=30)
        child = await family.until_born()
        assert child is not None
        await terminate(child, grace=0.01)

    async def test_a_caller_that_is_cancelled_already_starts_nothing_that_stays(
        self, family: Family
    ) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run(family.waits, timeout=60)
        assert scope.cancelled_caught
        if family.pidfile.exists():
            await family.until_dead()


class TestFollow:
    async def test_it_is_read_along_while_it_runs(self, tmp_path: Path) -> None:
        go_on = tmp_path / "go-on"
        script = f"echo begun; while [ ! -e {go_on} ]; do sleep 0.02; done; echo done"
        heard: list[str] = []

        def hear(output: str) -> None:
            heard.append(output)
            go_on.touch()

        with anyio.fail_after(60):  # it waits for being heard
            await follow(["sh", "-c", script], hear)
        assert "".join(heard) == "begun\ndone\n"

    async def test_a_failure_tells_the_end_of_the_error_output(self) -> None:
        with pytest.raises(HypervisorError, match=r"sh ended with status 3: no luck$"):
            await follow(["sh", "-c", "echo fine; echo no luck >&2; exit 3"], lambda output: None)

    async def test_calling_it_off_ends_its_children(self, family: Family) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(follow, family.waits, lambda output: None)
            await family.until_born()
            group.cancel_scope.cancel()
        await family.until_dead()


class Daemon:
    """A program that puts itself into the background."""

    def __init__(self, folder: Path) -> None:
        self.pidfile = folder / "daemon.pid"
        self.mark = str(self.pidfile)

    async def start(self, behaviour: str, timeout: float = 60) -> ProcessIdentity:
        script = Path(__file__).with_name("daemon.py")
        argv = [sys.executable, str(script), str(self.pidfile), self.mark, behaviour]
        return await start_daemon(argv, self.pidfile, mark=self.mark, timeout=timeout)

    def identity(self) -> ProcessIdentity | None:
        return identity_from_pidfile(self.pidfile, mark=self.mark)

    async def until_begun(self) -> ProcessIdentity:
        while (identity := self.identity()) is None:
            await anyio.sleep(0.01)
        return identity


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    if (identity := daemon.identity()) is not None:
        os.kill(identity.pid, 9)


class TestStartDaemon:
    async def test_it_runs_in_a_session_of_its_own(self, daemon: Daemon) -> None:
        identity = await daemon.start("ready")
        assert is_alive(identity)
        assert os.getsid(identity.pid) == identity.pid != os.getsid(0)
        assert daemon.identity() == identity

    async def test_somebody_who_is_not_its_parent_can_wait_for_it(self, daemon: Daemon) -> None:
        identity = await daemon.start("ready")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait_for_exit, identity)
            await anyio.wait_all_tasks_blocked()
            await terminate(identity)

    async def test_one_that_refuses_is_an_error_with_its_reason(self, daemon: Daemon) -> None:
        with pytest.raises(HypervisorError, match="ended with status 1: the port is taken"):
            await daemon.start("refuses")

    async def test_one_that_dies_at_once_is_an_error(self, daemon: Daemon) -> None:
        with pytest.raises(HypervisorError, match="ended as soon as it had started"):
            await daemon.start("dies")

    async def test_one_that_is_not_ready_in_time_is_ended(self, daemon: Daemon) -> None:
        timeout = 0.5
        while not daemon.pidfile.exists():  # on a busy machine it may not even be begun
            timeout *= 2
            with pytest.raises(HypervisorError, match=rf"did not end within {timeout:g} s"):
                await daemon.start("hangs", timeout)
        assert daemon.identity() is None

    async def test_one_whose_start_is_cancelled_is_ended(self, daemon: Daemon) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.start, "hangs")
            identity = await daemon.until_begun()
            group.cancel_scope.cancel()
        assert not is_alive(identity)

    async def test_one_that_somebody_began_who_was_killed_is_replaced(self, daemon: Daemon) -> None:
        left = await daemon.start("ready")
        daemon.pidfile.unlink()  # as if it had not come that far
        identity = await daemon.start("ready")
        assert not is_alive(left)
        assert is_alive(identity)

    async def test_one_that_is_not_known_can_be_ended(self, daemon: Daemon) -> None:
        left = await daemon.start("ready")
        daemon.pidfile.unlink()
        await end_unfinished(daemon.mark)
        assert not is_alive(left)

    async def test_one_that_is_deaf_can_be_ended(self, daemon: Daemon) -> None:
        identity = await daemon.start("deaf")
        await terminate(identity, grace=0.1)
        assert not is_alive(identity)
