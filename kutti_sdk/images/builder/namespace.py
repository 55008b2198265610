"""Programs that run as root of a user namespace, where root owns nothing.

The steps of a build that need many users (installing packages, unpacking
them, making a file system of them) run here. The users inside are the caller's
subordinate ones (subuid(5)), or, when the caller is root, a range that belongs
to nobody; so a build cannot touch a file of the machine or of the caller,
whatever a package's script does.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder.log import BuildLog
from kutti_sdk.images.builder.programs import search_path

_COUNT = 65536  # ids that a Debian system needs, with nobody (65534) the highest
_ROOTS_RANGE = 0x6FFF0000  # the end of systemd's range for containers: systemd.io/UIDS-GIDS
_SCRATCH = "kutti-build-"
_KILL_TIMEOUT = 10.0  # seconds for the kernel to end killed programs
_REMOVE_TIMEOUT = 60.0  # seconds to remove a folder
_LOCKED_AFTER = 60.0  # seconds; a younger scratch folder may not be locked yet
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class SubordinateIds:
    """The users and groups outside that the namespace's users are.

    Attributes:
        uid: The user outside who is root inside.
        gid: The group outside that is root's inside.
    """

    uid: int
    gid: int


def subordinate_ids() -> SubordinateIds:
    """Find out which subordinate users this user has. Reads files: call it in a thread.

    Returns:
        Where they start; there are enough of them.

    Raises:
        ImageBuildError: When there are not.
    """
    import pwd  # absent on Windows, where this module is imported and never used

    if os.geteuid() == 0:
        return SubordinateIds(_ROOTS_RANGE, _ROOTS_RANGE)
    user = pwd.getpwuid(os.geteuid()).pw_name
    starts = [_range_start(path, user) for path in ("/etc/subuid", "/etc/subgid")]
    uid, gid = starts
    if uid is None or gid is None:
        raise ImageBuildError(
            f"user {user} has no {_COUNT} subordinate users and groups to build with",
            hint=f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
        )
    return SubordinateIds(uid, gid)


class UserNamespace:
    """Runs programs as root of a user namespace.

    Args:
        ids: Who its users are outside.
        log: Takes what the programs say.
    """

    def __init__(self, ids: SubordinateIds, log: BuildLog) -> None:
        self._ids = ids
        self._log = log

    async def run(
        self,
        *command: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes] | int | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Run a program to its end; cancelling kills it and all it started.

        Args:
            command: The program and its arguments.
            folder: Where it starts, and where it may put temporary files.
            environment: Environment variables beside the few that every program gets.
            stdin: What it reads.
            stdout: Where its output goes; None for the log.
            on_line: Called with each line that goes to the log.

        Raises:
            ImageBuildError: When it fails, with the last lines of the log.
        """
        await self._log.write(f"$ {shlex.join(command)}")
        async with self._started(command, folder, environment or {}, stdin, stdout) as process:
            output = process.stdout or process.stderr
            assert output is not None
            async for line in _lines(output):
                await self._log.write(line)
                if on_line is not None:
                    on_line(line)
            status = await process.wait()
        if status != 0:
            raise ImageBuildError(
                f"{command[0]} ended with status {status}. Its last lines:\n{self._log.tail}",
                hint=f"The whole log is {self._log.path}",
            )

    @asynccontextmanager
    async def scratch_folder(self) -> AsyncIterator[Path]:
        """Make a folder that belongs to root of the namespace, and remove it in the end.

        What builds that were killed left behind is removed as well.

        Yields:
            The folder, below the system's folder for temporary files.

        Raises:
            ImageBuildError: When there can be no such namespace or folder.
        """
        place = Path(tempfile.gettempdir())
        for stale in await anyio.to_thread.run_sync(_abandoned, place, self._ids.uid):
            await self._remove(stale)
        folder = place / f"{_SCRATCH}{secrets.token_hex(6)}"
        try:
            try:
                await self.run("mkdir", "-m", "0755", str(folder), folder=place)
            except ImageBuildError as error:
                error.hint = (
                    f"Programs must be able to make user namespaces (sysctl "
                    f"kernel.unprivileged_userns_clone=1, "
                    f"kernel.apparmor_restrict_unprivileged_userns=0), and everybody to write "
                    f"to {place} (else set TMPDIR). The whole log is {self._log.path}"
                )
                raise
            with _locked(folder):
                yield folder
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_REMOVE_TIMEOUT):
                await self._remove(folder)

    @asynccontextmanager
    async def _started(
        self,
        command: tuple[str, ...],
        folder: Path,
        environment: Mapping[str, str],
        stdin: IO[bytes] | int,
        stdout: IO[bytes] | int | None,
    ) -> AsyncIterator[Process]:
        ids = (str(self._ids.uid), str(self._ids.gid), str(_COUNT))
        lifeline, held = os.pipe()
        try:
            with as_file(files(__package__) / "enter_namespace.py") as helper:
                try:
                    process = await anyio.open_process(
                        [
                            *(sys.executable, "-IS", str(helper), str(lifeline)),
                            *(*ids, str(folder), *command),
                        ],
                        stdin=stdin,
                        stdout=subprocess.PIPE if stdout is None else stdout,
                        stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
                        env=_environment(folder) | dict(environment),
                        pass_fds=[lifeline],
                        start_new_session=True,
                    )
                finally:
                    os.close(lifeline)
                try:
                    yield process
                finally:
                    with anyio.CancelScope(shield=True), anyio.move_on_after(_KILL_TIMEOUT):
                        if process.returncode is None:
                            process.kill()
                        await process.aclose()
        finally:
            os.close(held)

    async def _remove(self, folder: Path) -> None:
        await self.run("rm", "-rf", "--one-file-system", "--", str(folder), folder=folder.parent)


def _environment(folder: Path) -> dict[str, str]:
    proxies = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    return proxies | {"PATH": search_path(), "LC_ALL": "C.UTF-8", "TMPDIR": str(folder)}


def _range_start(path: str, user: str) -> int | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        owner, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if (
            owner in (user, str(os.geteuid()))
            and start.isdecimal()
            and count.isdecimal()
            and int(count) >= _COUNT
        ):
            return int(start)
    return None


def _abandoned(place: Path, uid: int) -> list[Path]:
    """Find scratch folders whose builds were killed: the kernel dropped their locks."""
    found = []
    for folder in place.glob(f"{_SCRATCH}*"):
        status = folder.lstat()
        if status.st_uid != uid or time.time() - status.st_mtime < _LOCKED_AFTER:
            continue
        with suppress(BlockingIOError), _locked(folder):
            found.append(folder)
    return found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder that may only be read, or raise BlockingIOError."""
    import fcntl  # absent on Windows

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


async def _lines(stream: ByteReceiveStream) -> AsyncIterator[str]:
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
