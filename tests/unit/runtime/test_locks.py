"""A lock has one holder at a time, and none that is dead."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from kutti_sdk.core.errors import LockTimeoutError, StateError
from kutti_sdk.runtime.locks import holder, locked
from kutti_sdk.runtime.tasks import run_all

pytestmark = pytest.mark.anyio

HOLDER = """
import sys
from pathlib import Path
import anyio
from kutti_sdk.runtime.locks import locked

async def hold():
    async with locked(Path(sys.argv[1])):
        print("held", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)

anyio.run(hold)
"""


@contextmanager
def another_process_holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.lock"


async def test_a_lock_of_a_stopped_process_is_its_own_and_that_is_said(path: Path) -> None:
    with another_process_holding(path) as process:
        stop(process)
        with pytest.raises(LockTimeoutError, match=f"stopped.*kill -CONT {process.pid}"):
            async with locked(path, timeout=0.1):
                pytest.fail("it is held")
        process.send_signal(signal.SIGCONT)
        process.communicate("go on")
        async with locked(path, timeout=20):
            pass


async def test_tasks_of_one_process_exclude_each_other(path: Path) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with locked(path):
            inside += 1
            assert inside == 1
            await anyio.sleep(0.001)
            inside -= 1

    await run_all(*[work] * 10)


async def test_processes_exclude_each_other_and_the_holder_is_named(path: Path) -> None:
    with another_process_holding(path) as holder:
        with pytest.raises(
            LockTimeoutError, match=rf"network.lock .* 0 s by process {holder.pid} "
        ):
            async with locked(path, timeout=0):
                raise AssertionError
        with pytest.raises(TimeoutError):
            async with locked(path, timeout=0.1):
                raise AssertionError


async def test_a_holder_in_this_process_is_told_apart(path: Path) -> None:
    async with locked(path):
        with pytest.raises(LockTimeoutError, match="another task of this process"):
            async with locked(path, timeout=0):
                raise AssertionError


async def test_a_killed_holder_holds_nothing(path: Path) -> None:
    with another_process_holding(path) as holder:
        holder.kill()
        holder.wait()
        async with locked(path, timeout=0):
            pass


async def test_a_holder_that_is_done_lets_the_next_one_in(path: Path) -> None:
    with another_process_holding(path) as holder:
        async with anyio.create_task_group() as group:
            entered = anyio.Event()

            async def wait_for_it() -> None:
                async with locked(path):
                    entered.set()

            group.start_soon(wait_for_it)
            await anyio.sleep(0.1)
            assert not entered.is_set()
            holder.communicate()


async def test_an_error_in_the_block_releases_it(path: Path) -> None:
    with pytest.raises(ValueError, match="inside"):
        async with locked(path):
            raise ValueError("inside")
    async with locked(path, timeout=0):
        pass


async def test_cancelling_the_holder_releases_it(path: Path) -> None:
    with anyio.move_on_after(0.01):
        async with locked(path):
            await anyio.sleep_forever()
    async with locked(path, timeout=0):
        pass


async def test_cancelling_who_waits_leaves_the_holder_alone(path: Path) -> None:
    with another_process_holding(path) as holder:
        with anyio.move_on_after(0.1) as scope:
            async with locked(path):
                raise AssertionError
        assert scope.cancelled_caught
        with pytest.raises(LockTimeoutError, match=str(holder.pid)):
            async with locked(path, timeout=0):
                raise AssertionError


async def test_holders_that_remove_the_file_at_the_end_still_exclude_each_other(path: Path) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        for _ in range(5):
            async with locked(path):
                inside += 1
                assert inside == 1
                await anyio.sleep(0.01)
                inside -= 1
                path.unlink()

    await run_all(*[work] * 5)
    assert not list(path.parent.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permission modes are POSIX's")
async def test_the_file_is_for_this_user_alone(path: Path) -> None:
    async with locked(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_nothing_but_the_lock_file_is_left_behind(path: Path) -> None:
    async with locked(path):
        pass
    assert list(path.parent.iterdir()) == [path]


async def test_a_folder_in_the_way_is_an_error_with_a_hint(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StateError, match=r"(?s)network.lock cannot be locked.*Hint: "):
        async with locked(path):
            raise AssertionError


async def test_the_holder_is_named_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    assert not path.exists(), "asking makes no lock"
    with another_process_holding(path) as process:
        assert (holder(path) or "").startswith(f"process {process.pid} (")
    assert holder(path) is None
    async with locked(path, timeout=0):
        assert holder(path) == "another task of this process"
