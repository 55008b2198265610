"""What a host sends when a file or folder is fetched from it, written and nowhere else.

The host's word is not taken for where anything is put. Every folder and file is made
here, under a name that must not be there yet, before a byte goes into it: a host that
names a link and a folder alike cannot have anything written through the link. Links are
judged when all are there, by where they really lead: how one is spelled says nothing as
long as others are on its way.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_SYMLINK
from asyncssh.sftp import SFTPProgressHandler

_PERMISSIONS = 0o777  # none of the bits that run a file with its owner's rights
_MOST_WAITING = 250_000  # names at a time, so that a folder without end does not fill the memory
_SEPARATORS = (b"/", b"\\", b"\0")
_NO_NAMES = (b".", b"..")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A thing on the host, and the place for it here."""

    remote: bytes
    local: Path
    attributes: asyncssh.SFTPAttrs


async def fetch_tree(
    client: asyncssh.SFTPClient,
    remote: str,
    local: Path,
    *,
    recurse: bool,
    progress: SFTPProgressHandler,
) -> None:
    """Copy a file or folder from a host that may lie; permissions and times are kept.

    Args:
        client: The conversation with its SFTP server.
        remote: File or folder there.
        local: Path here, at which nothing is yet.
        recurse: Copy folders with all that is in them.
        progress: Called with the bytes that arrived.

    Raises:
        OSError: When something cannot be written, or has a name that came before.
        asyncssh.Error: When the host refuses, or a name or a link leads elsewhere.
    """
    path = client.encode(remote)
    first = _Entry(path, local, await client.lstat(path))
    if first.attributes.type == FILEXFER_TYPE_DIRECTORY and not recurse:
        raise asyncssh.SFTPFailure(f"{remote} is a directory")
    links: list[Path] = []
    folders: list[_Entry] = []
    waiting = [first]
    while waiting:
        entry = waiting.pop()
        kind = entry.attributes.type
        if kind == FILEXFER_TYPE_DIRECTORY:
            entry.local.mkdir(mode=0o700)
            folders.append(entry)
            async for name in client.scandir(entry.remote):
                if name.filename not in _NO_NAMES:
                    waiting.append(_below(entry, name))
                if len(waiting) > _MOST_WAITING:
                    raise asyncssh.SFTPFailure(f"there are more than {_MOST_WAITING} files in it")
        elif kind == FILEXFER_TYPE_SYMLINK:
            entry.local.symlink_to(os.fsdecode(await client.readlink(entry.remote)))
            links.append(entry.local)
        else:
            await _fetch_file(client, entry, progress)
    for link in links:
        _judge_link(link, local)
    for folder in reversed(folders):  # last, and inner ones first: they may forbid writing
        _take_over(folder.local, folder.attributes)


async def _fetch_file(
    client: asyncssh.SFTPClient, entry: _Entry, progress: SFTPProgressHandler
) -> None:
    entry.local.touch(mode=0o600, exist_ok=False)
    # It may say now that this is a folder or a link: both fail, for there is a file.
    await client.get(entry.remote, entry.local, sparse=False, progress_handler=progress)
    _take_over(entry.local, entry.attributes)


def _below(folder: _Entry, name: asyncssh.SFTPName) -> _Entry:
    filename = name.filename
    assert isinstance(filename, bytes)  # as the folder's path was
    if not filename or any(it in filename for it in _SEPARATORS):
        raise asyncssh.SFTPBadMessage(f"{filename[:100]!r} is not the name of a file")
    return _Entry(
        folder.remote.rstrip(b"/") + b"/" + filename,
        folder.local / os.fsdecode(filename),
        name.attrs,
    )


def _judge_link(link: Path, root: Path) -> None:
    # Of the root only the way to it is resolved: it may be a link itself.
    inside = Path(os.path.realpath(root.parent), root.name)
    if not Path(os.path.realpath(link)).is_relative_to(inside):
        name = link.relative_to(root.parent)
        raise asyncssh.SFTPBadMessage(f"the link {name} leads outside of what is fetched")


def _take_over(path: Path, attributes: asyncssh.SFTPAttrs) -> None:
    """Give a file or folder the permissions and times that it has on the host."""
    if attributes.atime is not None and attributes.mtime is not None:
        os.utime(path, (attributes.atime, attributes.mtime))
    if attributes.permissions is not None:
        path.chmod(S_IMODE(attributes.permissions) & _PERMISSIONS)
