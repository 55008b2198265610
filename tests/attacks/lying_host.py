"""An SSH server that is not what hosts have: its SFTP server says what a test wants."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from anyio.from_thread import start_blocking_portal

from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.ssh import AsyncSSHClient, generate_host_key


@dataclass(frozen=True)
class Folder:
    """A folder of a host that lies: names may come twice, and be none."""

    entries: tuple[tuple[bytes, Entry], ...]
    mode: int = 0o755


@dataclass(frozen=True)
class Link:
    target: bytes


@dataclass(frozen=True)
class File:
    content: bytes = b"taken over\n"
    mode: int = 0o644


Entry = Folder | Link | File


@dataclass
class Tree:
    """What a host shows. Of things of one name, each question finds the next."""

    root: Entry = field(default_factory=lambda: Folder(()))

    def find(self, path: bytes) -> Entry:
        """The last thing of a name: that which a link was put in the way of."""
        found = self.root
        for name in filter(None, path.split(b"/")[2:]):
            assert isinstance(found, Folder), path
            found = [entry for it, entry in found.entries if it == name][-1]
        return found


def _attributes(entry: Entry) -> asyncssh.SFTPAttrs:
    match entry:
        case Folder():
            mode = stat.S_IFDIR | entry.mode
        case Link():
            mode = stat.S_IFLNK | 0o777
        case File():
            mode = stat.S_IFREG | entry.mode
    size = len(entry.content) if isinstance(entry, File) else 0
    return asyncssh.SFTPAttrs(permissions=mode, size=size, atime=0, mtime=0)


class _LyingSFTPServer(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], tree: Tree) -> None:
        super().__init__(channel)
        self._tree = tree

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        folder = self._tree.find(path)
        assert isinstance(folder, Folder)
        for name, entry in folder.entries:
            yield asyncssh.SFTPName(name, attrs=_attributes(entry))

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return _attributes(self._tree.find(path))

    stat = lstat

    def readlink(self, path: bytes) -> bytes:
        folder, _, name = path.rpartition(b"/")
        links = self._tree.find(folder)
        if not isinstance(links, Folder):
            links = Folder(((name, self._tree.root),))
        return next(
            entry.target for it, entry in links.entries if it == name and isinstance(entry, Link)
        )

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        entry = self._tree.find(path)
        assert isinstance(entry, File)
        return entry

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        assert isinstance(file_obj, File)
        return file_obj.content[offset : offset + size]

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        assert isinstance(file_obj, File)
        return _attributes(file_obj)

    def close(self, file_obj: object) -> None:
        pass


class _OpenServer(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@contextmanager
def lying_host(tree: Tree, folder: Path) -> Iterator[tuple[AsyncSSHClient, str]]:
    """Run such a server; gives a client that trusts its host key, and its address."""
    key, user = generate_host_key(), generate_host_key()
    identity = folder / "identity"
    identity.touch(mode=0o600)
    identity.write_text(user.private_text)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_OpenServer,
            server_host_keys=[asyncssh.import_private_key(key.private_text)],
            sftp_factory=lambda channel: _LyingSFTPServer(channel, tree),
        )

    async def end(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        await server.wait_closed()

    credentials = SSHCredentials(username="root", private_key=identity, host_key=key.public_line)
    with start_blocking_portal("asyncio") as portal:
        server = portal.call(listen)
        try:
            yield AsyncSSHClient(credentials, host="node1"), f"127.0.0.1:{server.get_port()}"
        finally:
            portal.call(end, server)
