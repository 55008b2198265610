"""A process is known for sure, waited for and ended, whoever its parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.processes import (
    ProcessIdentity,
    identify,
    identity_from_pidfile,
    is_alive,
    terminate,
    wait_for_exit,
)
from kutti_sdk.runtime.tasks import run_all

Start = Callable[..., ProcessIdentity]

SLEEP = "print(flush=True); import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP

anyio_test = pytest.mark.anyio


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python process, and wait until it tells that it runs."""
    started = []

    def start(script: str = SLEEP, *arguments: str) -> ProcessIdentity:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        identity = identify(process.pid)
        assert identity is not None
        return identity

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(params=["native", "portable"])
def on_any_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also take the ways of systems that are not Linux."""
    if request.param == "portable":
        monkeypatch.setattr(processes, "_ON_LINUX", False)
        monkeypatch.delattr("os.pidfd_open", raising=False)


def reused(identity: ProcessIdentity) -> ProcessIdentity:
    """Identify an earlier process that had the same number."""
    return ProcessIdentity(identity.pid, "earlier")


@pytest.mark.usefixtures("on_any_system")
class TestIdentity:
    def test_a_process_is_itself_as_long_as_it_runs(self, start: Start) -> None:
        identity = start()
        assert identify(identity.pid) == identity
        assert is_alive(identity)

    def test_a_number_that_was_given_to_another_is_not_the_process(self, start: Start) -> None:
        assert not is_alive(reused(start()))

    def test_processes_that_start_at_different_times_differ(self, start: Start) -> None:
        assert identify(os.getpid()) != start()
        assert identify(os.getpid()).started != start().started  # type: ignore[union-attr]

    def test_what_is_left_of_a_process_that_nobody_waited_for_is_dead(self, start: Start) -> None:
        identity = start()
        os.kill(identity.pid, signal.SIGKILL)
        os.waitid(os.P_PID, identity.pid, os.WEXITED | os.WNOWAIT)
        assert identify(identity.pid) is None
        assert not is_alive(identity)

    @pytest.mark.parametrize("pid", [0, 2**31 - 1])
    def test_a_number_that_nobody_has_is_no_process(self, pid: int) -> None:
        assert pid == 0 or identify(pid) is None

    def test_a_process_may_have_any_name(self, start: Start) -> None:
        rename = r"open('/proc/self/comm', 'wb').write(b') Z \xff(');"
        identity = start(rename + SLEEP)
        assert is_alive(identity)


class TestPidFile:
    @pytest.fixture
    def pidfile(self, tmp_path: Path) -> Path:
        return tmp_path / "qemu.pid"

    def test_it_names_a_process_with_the_mark(self, start: Start, pidfile: Path) -> None:
        identity = start(SLEEP, "uuid=4711")
        pidfile.write_text(f"{identity.pid}\n")
        assert identity_from_pidfile(pidfile, mark="4711") == identity

    def test_a_stale_one_names_nobody(self, start: Start, pidfile: Path) -> None:
        pidfile.write_text(str(start(SLEEP, "uuid=4712").pid))
        assert identity_from_pidfile(pidfile, mark="4711") is None

    @pytest.mark.parametrize("content", [b"", b"\n", b"x", b"-1", b"0", b"\xff", b"9" * 30])
    def test_a_damaged_one_names_nobody(self, pidfile: Path, content: bytes) -> None:
        pidfile.write_bytes(content)
        assert identity_from_pidfile(pidfile, mark="") is None

    def test_a_missing_one_names_nobody(self, pidfile: Path) -> None:
        assert identity_from_pidfile(pidfile, mark="") is None


@anyio_test
@pytest.mark.usefixtures("on_any_system")
class TestWaitForExit:
    async def test_all_who_wait_are_told(self, start: Start) -> None:
        identity = start()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(wait_for_exit, identity)
            await anyio.wait_all_tasks_blocked()
            os.kill(identity.pid, signal.SIGKILL)

    async def test_it_goes_on_waiting_while_the_process_runs(self, start: Start) -> None:
        identity = start()
        with anyio.move_on_after(0.2) as scope:
            await wait_for_exit(identity)
        assert scope.cancelled_caught
        assert is_alive(identity)

    async def test_who_gave_up_leaves_the_others_waiting(self, start: Start) -> None:
        identity = start()
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for_exit, identity)
            with anyio.move_on_after(0.05):
                await wait_for_exit(identity)
            os.kill(identity.pid, signal.SIGKILL)

    async def test_a_process_that_is_gone_is_not_waited_for(self, start: Start) -> None:
        identity = start()
        await terminate(identity)
        await wait_for_exit(identity)
        await wait_for_exit(ProcessIdentity(2**31 - 1, "never"))

    async def test_another_process_with_the_number_is_not_waited_for(self, start: Start) -> None:
        await wait_for_exit(reused(start()))


@anyio_test
class TestTerminate:
    async def test_it_asks_first(self, start: Start, tmp_path: Path) -> None:
        polite = """
import signal, sys
from pathlib import Path

def leave(*_):
    Path(sys.argv[1]).touch()
    sys.exit()

signal.signal(signal.SIGTERM, leave)
"""
        identity = start(polite + SLEEP, str(tmp_path / "asked"))
        await terminate(identity, grace=60)
        assert not is_alive(identity)
        assert (tmp_path / "asked").exists()

    async def test_it_kills_what_does_not_listen(self, start: Start) -> None:
        identity = start(DEAF)
        await terminate(identity, grace=0.1)
        assert not is_alive(identity)

    async def test_it_kills_what_stands_still(self, start: Start) -> None:
        identity = start()
        os.kill(identity.pid, signal.SIGSTOP)
        await terminate(identity, grace=0.1)
        assert not is_alive(identity)

    async def test_a_process_that_is_gone_is_no_error(self, start: Start) -> None:
        identity = start()
        await run_all(*[lambda: terminate(identity)] * 5)
        await terminate(identity)
        await terminate(ProcessIdentity(2**31 - 1, "never"))

    async def test_another_process_with_the_number_is_left_alone(self, start: Start) -> None:
        identity = start()
        await terminate(reused(identity), grace=0.1)
        assert is_alive(identity)

    async def test_it_is_finished_even_when_the_caller_is_cancelled(self, start: Start) -> None:
        identity = start(DEAF)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await terminate(identity, grace=0.1)
        assert not is_alive(identity)

    async def test_what_cannot_be_ended_is_an_error(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        identity = start()
        monkeypatch.setattr("os.kill", lambda pid, how: None)
        monkeypatch.setattr(processes, "_DYING", 0.05)
        with pytest.raises(HypervisorError, match=r"(?s)could not be ended.*Hint: "):
            await terminate(identity, grace=0.05)
