"""A host that lies about its files, to have them written where they do not belong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lying_host import File, Folder, Link, Tree, lying_host

from kutti_sdk.core.errors import FileTransferError
from kutti_sdk.ssh import AsyncSSHClient

pytestmark = pytest.mark.anyio

EVIL = File()


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.fixture
async def host(tree: Tree, tmp_path: Path) -> AsyncIterator[tuple[AsyncSSHClient, str]]:
    with lying_host(tree, tmp_path) as (client, address):
        yield client, address
        await client.aclose()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a user who fetches into a folder of it."""
    (tmp_path / "home" / "fetched").mkdir(parents=True)
    (tmp_path / "home" / ".ssh").mkdir()
    return tmp_path / "home"


async def test_an_honest_folder_arrives(
    host: tuple[AsyncSSHClient, str], tree: Tree, home: Path
) -> None:
    tree.root = Folder(((b"b", Folder(((b"c", File(b"content")),))), (b"l", Link(b"b/c"))))
    client, address = host
    await client.get(address, "/tree", home / "fetched" / "tree", recurse=True)
    assert (home / "fetched" / "tree" / "b" / "c").read_bytes() == b"content"
    assert (home / "fetched" / "tree" / "l").read_bytes() == b"content"


# Spelled, this link stays in the folder that is fetched. Followed, it leads to the user's keys.
BY_WAY_OF_ANOTHER = b"deep/down/up/../../../.ssh"
DEEP = (b"deep", Folder(((b"down", Folder(((b"up", Link(b"../..")),))),)))

HOSTILE = {
    "a name with folders": Folder(((b"../../.ssh/authorized_keys", EVIL),)),
    "an absolute name": Folder(((b"/tmp/attacks-evil", EVIL),)),
    "an empty name": Folder(((b"", EVIL),)),
    "a link to elsewhere": Folder(((b"l", Link(b"../../.ssh")),)),
    "an absolute link": Folder(((b"l", Link(b"/etc/passwd")),)),
    "a link by way of another": Folder((DEEP, (b"l", Link(BY_WAY_OF_ANOTHER)))),
    "a folder that is a link as well": Folder(
        (DEEP, (b"l", Link(BY_WAY_OF_ANOTHER)), (b"l", Folder(((b"authorized_keys", EVIL),))))
    ),
    "a file that is a link as well": Folder(
        (DEEP, (b"l", Link(BY_WAY_OF_ANOTHER + b"/authorized_keys")), (b"l", EVIL))
    ),
    "a file that is there twice": Folder(((b"f", EVIL), (b"f", EVIL))),
    "a link in the place of all": Link(b"../../.ssh"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_host_writes_nothing_beside_what_is_fetched(
    what: str, host: tuple[AsyncSSHClient, str], tree: Tree, home: Path
) -> None:
    tree.root = HOSTILE[what]
    client, address = host
    with pytest.raises(FileTransferError) as caught:
        await client.get(address, "/tree", home / "fetched" / "tree", recurse=True)
    assert caught.value.host == "node1"
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    assert left == [".ssh", "fetched"]


async def test_a_fetched_program_does_not_run_with_its_owners_rights(
    host: tuple[AsyncSSHClient, str], tree: Tree, home: Path
) -> None:
    tree.root = Folder(((b"shell", File(mode=0o6755)),), mode=0o2755)
    client, address = host
    await client.get(address, "/tree", home / "fetched" / "tree", recurse=True)
    assert (home / "fetched" / "tree" / "shell").stat().st_mode & 0o7777 == 0o755
    assert (home / "fetched" / "tree").stat().st_mode & 0o7777 == 0o755


async def test_a_folder_without_end_is_left(
    host: tuple[AsyncSSHClient, str], tree: Tree, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.ssh.fetching._MOST_WAITING", 50)
    tree.root = Folder(tuple((b"%d" % number, EVIL) for number in range(60)))
    client, address = host
    with pytest.raises(FileTransferError, match="more than 50 files"):
        await client.get(address, "/tree", home / "fetched" / "tree", recurse=True)
    assert list((home / "fetched").iterdir()) == []
