"""Where files go: one place for each kind, all movable together.

| folder | what is in it | may be swept |
|---|---|---|
| `cache_dir` | images, probe results | yes, it can be had again |
| `config_dir` | driver configuration, image lists | no |
| `data_dir` | disks, keys and records of networks, hosts and clusters | never |
| `runtime_dir` | sockets; mode 0700 | when nothing runs |
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from kutti_sdk.core.errors import StateError

WORKSPACE_VARIABLE = "KUTTI_WORKSPACE"
"""Environment variable that names the workspace when `set_workspace` was not called."""

_APPLICATION = "kutti"
_LONGEST_RUNTIME_PATH = 70  # of the 107 bytes that a unix socket's path may have on Linux

_PRIVATE = 0o700
_WRITABLE_BY_OTHERS = 0o022

_workspace: Path | None = None


def set_workspace(path: str | os.PathLike[str] | None) -> None:
    """Keep everything below one folder instead of the user's own folders.

    Args:
        path: The folder, made when it is first needed; None for the environment
            variable ``KUTTI_WORKSPACE``, and without it the user's own folders.
    """
    global _workspace  # noqa: PLW0603 - the one setting of the process
    _workspace = None if path is None else _resolved(path)


@contextmanager
def within_workspace(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep everything below one folder for the length of a block.

    Args:
        path: The folder.

    Yields:
        Nothing.
    """
    global _workspace  # noqa: PLW0603 - the one setting of the process
    before = _workspace
    set_workspace(path)
    try:
        yield
    finally:
        _workspace = before


def workspace() -> Path | None:
    """Tell which workspace is set.

    Returns:
        The folder, or None when the user's own folders are used.
    """
    if _workspace is not None:
        return _workspace
    named = os.environ.get(WORKSPACE_VARIABLE)
    return _resolved(named) if named else None


def cache_dir() -> Path:
    """Give the folder for images, made if it is missing.

    Returns:
        The folder.
    """
    return _made(_below("cache") or platformdirs.user_cache_path(_APPLICATION))


def config_dir() -> Path:
    """Give the folder for driver configuration and image lists, made if it is missing.

    Returns:
        The folder.
    """
    return _made(_below("config") or platformdirs.user_config_path(_APPLICATION))


def data_dir() -> Path:
    """Give the folder for disks, keys and records, made if it is missing.

    Returns:
        The folder.
    """
    return _made(_below("data") or platformdirs.user_data_path(_APPLICATION))


def runtime_dir() -> Path:
    """Give the folder for sockets, made if it is missing, for this user alone.

    A path too long for unix sockets is replaced by a short one in the system's
    folder for temporary files that belongs to this user and this workspace.

    Returns:
        The folder.

    Raises:
        StateError: When the folder cannot be made, belongs to somebody else or is
            open to others.
    """
    path = runtime_path()
    if hasattr(os, "getuid"):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
            raise StateError(
                f"{path} is not a folder for this user alone",
                hint=f'Remove it or "chmod 700" it, or set {WORKSPACE_VARIABLE} to another folder.',
            )
    return path


def runtime_path() -> Path:
    """Tell where the folder for sockets is, made if it is missing, be it safe to use or not.

    Returns:
        The folder.

    Raises:
        StateError: When it cannot be made.
    """
    return _made(_short_enough(_below("run") or _user_runtime_path()))


def make_private(path: Path) -> None:
    """Make a folder for this user alone, and those on the way to it that are missing.

    Args:
        path: The folder; left as it is when it is there.

    Raises:
        OSError: When one cannot be made.
    """
    # Not by parents=True: that leaves the modes of all but the last to the umask.
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=_PRIVATE, exist_ok=True)


def _resolved(path: str | os.PathLike[str]) -> Path:
    # One name for one folder, however it is spelled: the short runtime folder's name
    # is made from it.
    return Path(path).expanduser().resolve()


def _below(name: str) -> Path | None:
    root = workspace()
    return None if root is None else root / name


def _user_runtime_path() -> Path:
    try:
        with warnings.catch_warnings():
            # It warns when it falls back to the folder for temporary files; that the
            # folder is safe to use is made sure of by the caller.
            warnings.simplefilter("ignore")
            return platformdirs.user_runtime_path(_APPLICATION)
    except PermissionError as error:  # somebody else made it in the folder for temporary files
        raise StateError(
            f"there is no folder for sockets: {error}",
            hint=f"Set XDG_RUNTIME_DIR or {WORKSPACE_VARIABLE} to a folder of your own.",
        ) from error


def _short_enough(path: Path) -> Path:
    if len(os.fsencode(path)) <= _LONGEST_RUNTIME_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    # Not tempfile.gettempdir() on POSIX: TMPDIR may differ between two processes
    # that look for the same sockets, and may itself be long.
    temporary = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())  # noqa: S108
    return temporary / f"{_APPLICATION}-{digest}"


def _made(path: Path) -> Path:
    hint = f"Set {WORKSPACE_VARIABLE} to a folder that you may write to."
    try:
        make_private(path)
    except OSError as error:
        raise StateError(
            f"the folder {path} cannot be made: {error.strerror}", hint=hint
        ) from error
    if hasattr(os, "getuid") and not _is_safe(path.stat()):
        raise StateError(
            f"{path} belongs to another user, or others may write to it",
            hint=f'"chmod go-w" it if it is yours, or set {WORKSPACE_VARIABLE} to another folder.',
        )
    if not os.access(path, os.W_OK | os.X_OK):
        raise StateError(f"the folder {path} may not be written to", hint=hint)
    return path


def _is_safe(status: os.stat_result) -> bool:
    """Tell whether nobody else can put anything in a folder."""
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & _WRITABLE_BY_OTHERS
