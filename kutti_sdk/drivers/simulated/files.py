"""The files of a simulated host: an in-memory tree that outlives its stops."""

from __future__ import annotations

from pathlib import PurePosixPath

_HOME = PurePosixPath("/root")
_FOLDERS = (
    "/",
    "/etc",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/tmp",  # noqa: S108 - of the host
    "/usr/local/bin",
    "/var/lib",
    "/var/log",
)


class FileTree:
    """Folders, and files with their bytes; paths are POSIX, relative ones are below /root."""

    def __init__(self) -> None:
        self._folders: set[PurePosixPath] = set()
        self._files: dict[PurePosixPath, bytes] = {}
        for folder in _FOLDERS:
            self.make_folder(folder)

    def is_folder(self, path: str | PurePosixPath) -> bool:
        """Tell whether there is a folder at a path.

        Args:
            path: The path.

        Returns:
            True when there is.
        """
        return _absolute(path) in self._folders

    def is_file(self, path: str | PurePosixPath) -> bool:
        """Tell whether there is a file at a path.

        Args:
            path: The path.

        Returns:
            True when there is.
        """
        return _absolute(path) in self._files

    def make_folder(self, path: str | PurePosixPath) -> None:
        """Make a folder with all those above it.

        Args:
            path: The path.

        Raises:
            NotADirectoryError: When one of them is a file.
        """
        path = _absolute(path)
        for folder in (*path.parents, path):
            if folder in self._files:
                raise NotADirectoryError(str(folder))
            self._folders.add(folder)

    def write(self, path: str | PurePosixPath, content: bytes) -> None:
        """Write a file.

        Args:
            path: The path.
            content: All of its bytes.

        Raises:
            IsADirectoryError: When the path is that of a folder.
            FileNotFoundError: When there is no folder to put it in.
        """
        path = _absolute(path)
        if path in self._folders:
            raise IsADirectoryError(str(path))
        if path.parent not in self._folders:
            raise FileNotFoundError(str(path.parent))
        self._files[path] = content

    def remove(self, path: str | PurePosixPath) -> None:
        """Remove a file; nothing to do when there is none.

        Args:
            path: The path.
        """
        self._files.pop(_absolute(path), None)

    def read(self, path: str | PurePosixPath) -> bytes:
        """Read a file.

        Args:
            path: The path.

        Returns:
            Its bytes.

        Raises:
            IsADirectoryError: When the path is that of a folder.
            FileNotFoundError: When there is no such file.
        """
        path = _absolute(path)
        if path in self._folders:
            raise IsADirectoryError(str(path))
        if path not in self._files:
            raise FileNotFoundError(str(path))
        return self._files[path]

    def copy(self) -> FileTree:
        """Copy the whole tree.

        Returns:
            A tree that changes by itself from now on.
        """
        copied = FileTree()
        copied._folders = set(self._folders)
        copied._files = dict(self._files)
        return copied

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(map(len, self._files.values()))

    def entries(self, path: str | PurePosixPath) -> list[PurePosixPath]:
        """List a folder.

        Args:
            path: The path.

        Returns:
            The whole paths of what is in it, sorted.
        """
        folder = _absolute(path)
        return sorted(
            entry
            for entry in (*self._folders, *self._files)
            if entry.parent == folder and entry != folder
        )


def _absolute(path: str | PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in (_HOME / path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return PurePosixPath("/", *parts)
