"""File copies: what arrives, what is told, and that nothing half is left."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from ssh_harness import Proxy, Server, eventually

from kutti_sdk.core.errors import FileTransferError, SSHConnectionError
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.ssh import AsyncSSHClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


async def test_a_file_goes_there_and_back(
    client: AsyncSSHClient, sshd: Server, here: Path, there: Path
) -> None:
    content = os.urandom(3_000_000)
    (here / "file").write_bytes(content)
    (here / "file").chmod(0o750)
    await client.put(sshd.address, here / "file", f"{there}/copy")
    assert (there / "copy").read_bytes() == content
    assert (there / "copy").stat().st_mode & 0o777 == 0o750
    await client.get(sshd.address, f"{there}/copy", here / "back")
    await client.get(sshd.address, f"{there}/copy", here)
    assert (here / "back").read_bytes() == (here / "copy").read_bytes() == content
    assert (here / "back").stat().st_mode & 0o777 == 0o750
    (here / "back").write_text("older")
    await client.get(sshd.address, f"{there}/copy", here / "back")
    assert (here / "back").read_bytes() == content
    assert sorted(path.name for path in here.iterdir()) == ["back", "copy", "file"]


async def test_folders_go_with_recurse_only(
    client: AsyncSSHClient, sshd: Server, here: Path, there: Path
) -> None:
    (here / "tree" / "deep").mkdir(parents=True)
    (here / "tree" / "deep" / "leaf").write_text("leaf")
    (here / "tree" / "empty").touch()
    with pytest.raises(FileTransferError, match="is a directory") as caught:
        await client.put(sshd.address, here / "tree", f"{there}/tree")
    assert "recurse=True" in (caught.value.hint or "")
    await client.put(sshd.address, here / "tree", f"{there}/tree", recurse=True)
    assert (there / "tree" / "deep" / "leaf").read_text() == "leaf"
    with pytest.raises(FileTransferError, match="is a directory"):
        await client.get(sshd.address, f"{there}/tree", here / "back")
    await client.get(sshd.address, f"{there}/tree", here / "back", recurse=True)
    assert (here / "back" / "deep" / "leaf").read_text() == "leaf"
    assert (here / "back" / "empty").read_bytes() == b""
    with pytest.raises(FileTransferError, match="not empty"):  # two trees are not mixed
        await client.get(sshd.address, f"{there}/tree", here, recurse=True)
    assert sorted(path.name for path in here.iterdir()) == ["back", "tree"]


async def test_links_out_of_a_fetched_folder_are_refused(
    client: AsyncSSHClient, sshd: Server, here: Path, there: Path
) -> None:
    (there / "tree").mkdir()
    (there / "tree" / "link").symlink_to("../../../etc/passwd")
    with pytest.raises(FileTransferError, match="outside"):
        await client.get(sshd.address, f"{there}/tree", here / "tree", recurse=True)
    assert list(here.iterdir()) == []


async def test_what_is_wrong_is_told(
    client: AsyncSSHClient, sshd: Server, here: Path, there: Path
) -> None:
    with pytest.raises(FileTransferError, match=r"node1:.*absent.*No such file") as caught:
        await client.get(sshd.address, f"{there}/absent", here / "file")
    assert caught.value.host == "node1"
    with pytest.raises(FileTransferError, match="No such file"):
        await client.put(sshd.address, here / "absent", f"{there}/file")
    (there / "file").touch()
    with pytest.raises(FileTransferError, match="No such file"):
        await client.get(sshd.address, f"{there}/file", here / "no" / "folder")
    assert list(here.iterdir()) == []


@pytest.fixture
def endless(there: Path) -> Path:
    path = there / "endless"
    with path.open("wb") as file:
        file.truncate(20 * 1024**3)  # takes no room there, and minutes to copy
    return path


async def test_a_cancelled_get_leaves_nothing(
    client: AsyncSSHClient, sshd: Server, here: Path, endless: Path
) -> None:
    (here / "file").write_text("older")
    async with anyio.create_task_group() as group:
        group.start_soon(client.get, sshd.address, str(endless), here / "file")
        await eventually(
            lambda: any(path.stat().st_size > 1_000_000 for path in here.glob(".file.*/file"))
        )
        group.cancel_scope.cancel()
    await eventually(lambda: [path.name for path in here.iterdir()] == ["file"])
    assert (here / "file").read_text() == "older"
    assert (await client.run_with_results(sshd.address, "echo on")).stdout == "on\n"


async def test_a_get_over_a_lost_line_leaves_nothing(
    client: AsyncSSHClient, proxy: Proxy, here: Path, endless: Path
) -> None:
    async def cut_when_under_way() -> None:
        await eventually(lambda: any(path.stat().st_size for path in here.glob(".file.*/file")))
        proxy.cut()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(cut_when_under_way)
        try:
            await client.get(proxy.address, str(endless), here / "file")
        except SSHConnectionError as error:
            failure = error
    assert "was lost while" in str(failure)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, TimeoutError])
async def test_a_line_that_a_socket_noticed_to_be_lost_is_a_lost_line(
    client: AsyncSSHClient,
    sshd: Server,
    here: Path,
    error: type[OSError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whether the socket or the protocol notices first is a race that no test can decide.
    async def fail(*_: object, **__: object) -> None:
        raise error("the socket's own words")

    monkeypatch.setattr("asyncssh.SFTPClient.get", fail)
    with pytest.raises(SSHConnectionError, match="was lost while"):
        await client.get(sshd.address, "/etc/hostname", here / "file")
    assert list(here.iterdir()) == []


async def test_long_copies_report_where_they_are_waited_for(
    client: AsyncSSHClient, sshd: Server, here: Path, endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kutti_sdk.ssh.progress.QUIET", 0.05)
    monkeypatch.setattr("kutti_sdk.ssh.progress.STEP", 0.05)
    events: list[ProgressEvent] = []
    tasks = set()
    with anyio.CancelScope() as scope:

        def note(event: ProgressEvent) -> None:
            tasks.add(anyio.get_current_task().id)  # there is none in a strange thread
            events.append(event)
            if event.bytes_done and len(events) > 2:
                scope.cancel()

        with observe(note):
            await client.get(sshd.address, str(endless), here / "file")
    assert tasks
    assert events[-1].host == "node1"
    assert events[-1].bytes_total == 20 * 1024**3
    assert 0 < (events[-1].fraction or 0) < 1
    assert [event.bytes_done for event in events] == sorted(event.bytes_done for event in events)  # type: ignore[type-var]
