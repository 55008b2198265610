"""Programs: short ones that are waited for, and daemons that outlive this process.

A daemon is known by its process id **and** the time it started, so that a
process id that was given to somebody else is never taken for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOENT, ENOMEM
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import anyio
import anyio.abc
import anyio.to_thread
import psutil

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.core.system_errors import advice
from kutti_sdk.runtime.awake import within

_ON_LINUX = sys.platform.startswith("linux")
_PRIVATE = 0o077  # umask of programs: what they make is for this user alone
_STEP = 0.1  # seconds, where the system cannot tell when a process ends
_DYING = 5.0  # seconds that a killed process has to be gone, on a busy machine
_LAST_WORDS = 2000  # bytes of a failed program's output that an error quotes
_KILLED = -9  # status of who was ended by SIGKILL, which Windows has not
_MARK = "KUTTI_DAEMON"  # in the environment from the first moment on, as a pid file is not


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process of this machine, and no other that may get its number later.

    Attributes:
        pid: Its process id.
        started: When it started, in a form that only equality is asked of.
    """

    pid: int
    started: str


def identify(pid: int) -> ProcessIdentity | None:
    """Look at a running process.

    Args:
        pid: Its process id.

    Returns:
        Its identity, or None when there is no such process, or only its remains.
    """
    try:
        if _ON_LINUX:
            return _identify_on_linux(pid)
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid, repr(process.create_time()))
    except (OSError, psutil.Error):
        return None


def is_alive(identity: ProcessIdentity) -> bool:
    """Tell whether a process still runs.

    Args:
        identity: Which process.

    Returns:
        False when it ended, even when its number was given to another.
    """
    return identify(identity.pid) == identity


def identity_from_pidfile(path: Path, *, mark: str) -> ProcessIdentity | None:
    """Find the process that a pid file names, if it is the right one.

    Args:
        path: The pid file.
        mark: A text in its command line that no other process has.

    Returns:
        Its identity, or None when it does not run.
    """
    try:
        pid = int(path.read_text())
        identity = identify(pid)
        if identity is None:
            return None
        return identity if mark in _command_line(pid) else None
    except (OSError, ValueError, psutil.Error):
        return None


async def wait_for_exit(identity: ProcessIdentity) -> None:
    """Wait until a process has ended, whoever its parent is.

    Args:
        identity: Which process.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except (OSError, AttributeError):  # no such process, or no pidfd on this system
        while is_alive(identity):  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(_STEP)
        return
    try:
        if is_alive(identity):  # and so the descriptor is of no other
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def terminate(identity: ProcessIdentity, *, grace: float = 2.0) -> None:
    """End a process, in a hard way when it does not follow the soft one.

    Args:
        identity: Which process; nothing happens when it does not run.
        grace: Seconds between asking and killing.

    Raises:
        HypervisorError: When it runs even then.
    """
    with anyio.CancelScope(shield=True):
        for ask, patience in (
            (psutil.Process.terminate, grace),
            (psutil.Process.kill, _DYING),
        ):
            try:
                process = psutil.Process(identity.pid)
                if not is_alive(identity):  # asked last, so that `process` is no other
                    return
                ask(process)
            except psutil.NoSuchProcess:
                return
            except psutil.AccessDenied:
                break
            with suppress(TimeoutError):
                await within(patience, partial(wait_for_exit, identity))
    if is_alive(identity):
        raise HypervisorError(
            f"process {identity.pid} could not be ended",
            hint="It belongs to another user, or hangs in a device or a network file system.",
        )


async def run(
    argv: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None
) -> str:
    """Run a short program to its end.

    Args:
        argv: Program and arguments.
        timeout: Seconds it may take, without those that this process sleeps; then, or when
            the caller is cancelled, it is killed with all processes of its group.
        variables: What its environment has besides that of this process.

    Returns:
        What it wrote to standard output.

    Raises:
        HypervisorError: When it fails, with the end of what it wrote.
    """
    name = Path(argv[0]).name
    # Files and not pipes: nothing is to be read while it runs, and a process that
    # it leaves behind cannot keep this call waiting for the end of its output.
    try:
        with TemporaryFile() as output, TemporaryFile() as errors:
            try:
                status = await _run_in_session(argv, output, errors, variables or {}, timeout)
            except TimeoutError:
                raise HypervisorError(
                    f"{name} did not end within {timeout:g} s{_last_words(errors, output)}"
                ) from None
            if status != 0:
                raise _failure(name, status, _last_words(errors, output))
            output.seek(0)
            return output.read().decode(errors="replace")
    except OSError as error:
        raise _not_started(argv[0], error) from error


async def run_alone(argv: Sequence[str], *, mark: str, timeout: float) -> str:
    """Run a short program of which there is never more than one; the caller holds a lock.

    One that was left by a process that was killed is ended first.

    Args:
        argv: Program and arguments.
        mark: A text that no other program is given.
        timeout: Seconds it may take, as in `run`.

    Returns:
        What it wrote to standard output.

    Raises:
        HypervisorError: When it fails, with the end of what it wrote.
    """
    await end_unfinished(mark)
    return await run(argv, timeout=timeout, variables={_MARK: mark})


async def follow(argv: Sequence[str], on_output: Callable[[str], None]) -> None:
    """Run a program to its end, for as long as it takes, and read along.

    When the caller is cancelled, it is killed with all processes of its group.

    Args:
        argv: Program and arguments.
        on_output: Called with each piece that it writes to standard output.

    Raises:
        HypervisorError: When it fails, with the end of what it wrote to standard error.
    """
    name = Path(argv[0]).name
    with TemporaryFile() as errors:
        with anyio.CancelScope(shield=True):  # or it could be started and nobody know of it
            try:
                process = await anyio.open_process(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                    umask=_PRIVATE,
                )
            except OSError as error:
                raise _not_started(argv[0], error) from error
        async with process:
            try:
                assert process.stdout is not None
                async for piece in process.stdout:
                    on_output(piece.decode(errors="replace"))
                status = await process.wait()
            except BaseException:
                _kill_group(process)
                raise
        if status != 0:
            raise _failure(name, status, _last_words(errors))


async def start_daemon(
    argv: Sequence[str], pidfile: Path, *, mark: str, timeout: float = 30.0
) -> ProcessIdentity:
    """Start a program that puts itself into the background once it is ready.

    QEMU's ``-daemonize -pidfile`` is the protocol: the program's first process
    ends with status 0 when the daemon listens on its sockets, and with another
    status and a reason on standard error when it cannot. The daemon has a
    session of its own, so that interrupting a notebook's kernel leaves it alone.
    It gives up when the first process is gone before it is ready.

    When the start fails or is cancelled, a daemon that was begun is ended. So is one
    that was begun by a process that was killed: the caller has a lock that keeps others
    from starting the same, and has found that it does not run.

    Args:
        argv: Program and arguments.
        pidfile: Where the program writes the daemon's process id.
        mark: A text in its command line that no other process has.
        timeout: Seconds it may take to get ready.

    Returns:
        The daemon's identity.

    Raises:
        HypervisorError: When it could not be started.
    """
    await end_unfinished(mark)
    try:
        await run(argv, timeout=timeout, variables={_MARK: mark})
    except BaseException:
        with anyio.CancelScope(shield=True):
            await end_unfinished(mark)
        raise
    identity = identity_from_pidfile(pidfile, mark=mark)
    if identity is None:
        raise HypervisorError(f"{Path(argv[0]).name} ended as soon as it had started")
    return identity


async def end_unfinished(mark: str) -> None:
    """End a program that was begun, and whose process id nobody knows for certain.

    The caller holds the lock under which it is started, and has found that none runs.

    Args:
        mark: What `start_daemon` or `run_alone` was given.

    Raises:
        HypervisorError: When it could not be ended.
    """
    while begun := await anyio.to_thread.run_sync(_marked, mark):  # it may have forked meanwhile
        for identity in begun:
            await terminate(identity)


def _marked(mark: str) -> list[ProcessIdentity]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # ended, or of another user
            if process.environ().get(_MARK) == mark:
                found.append(identify(process.pid))
    return [identity for identity in found if identity is not None]


async def _run_in_session(
    argv: Sequence[str],
    output: IO[bytes],
    errors: IO[bytes],
    variables: Mapping[str, str],
    timeout: float,
) -> int:
    with anyio.CancelScope(shield=True):  # or it could be started and nobody know of it
        process = await anyio.open_process(
            argv,
            umask=_PRIVATE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    async with process:
        try:
            return await within(timeout, process.wait)
        except BaseException:
            _kill_group(process)
            raise


def _kill_group(leader: anyio.abc.Process) -> None:
    if sys.platform == "win32":
        leader.kill()
    else:
        # Its number is not given to another while anybody is left in the group. macOS
        # refuses where only the remains of processes are.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, signal.SIGKILL)


def _not_started(program: str, error: OSError) -> HypervisorError:
    return HypervisorError(
        f"{program} could not be started: {error.strerror}",
        hint="Is it installed, and on PATH?" if error.errno == ENOENT else advice(error) or None,
    )


def _failure(name: str, status: int, words: str) -> HypervisorError:
    ending = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    hint = None
    if os.strerror(ENOMEM) in words:
        hint = advice(OSError(ENOMEM, words))
    elif status == _KILLED:
        hint = "Systems end programs like this when memory is used up: see the system's log."
    return HypervisorError(f"{name} {ending}{words}", hint=hint)


def _last_words(*files: IO[bytes]) -> str:
    for file in files:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS))
        words = file.read().decode(errors="replace").strip()
        if words:
            return f": {words}"
    return ""


def _identify_on_linux(pid: int) -> ProcessIdentity | None:
    # proc(5): fields after the parenthesised name; state is the 3rd, starttime the
    # 22nd, in clock ticks since boot and so untouched by changes of the clock.
    # The name may be any bytes.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    if fields[0] in b"ZX":
        return None
    return ProcessIdentity(pid, f"{_boot_id()}:{fields[19].decode()}")


def _command_line(pid: int) -> str:
    if _ON_LINUX:  # psutil asks much more, and watchers ask for this of every host
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
    return " ".join(psutil.Process(pid).cmdline())


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
