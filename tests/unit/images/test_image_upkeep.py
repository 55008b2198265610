"""What takes room is told, what nobody uses can go, and what somebody uses stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from image_samples import make_image_folder

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    ImageInUseError,
    ImageNotDownloadedError,
)
from kutti_sdk.core.status import CopyStatus, ImageStatus
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.image import StoredImage
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.store import LocalImage, local_images, pinned, remove_local
from kutti_sdk.images.upkeep import list_copies, remove_copies, verify_image
from kutti_sdk.runtime.directories import cache_dir

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def store(workspace: Path) -> Path:
    return cache_dir() / "images"


async def nobody(checksum: str) -> list[str]:
    return []


async def somebody(checksum: str) -> list[str]:
    return ["node1"]


async def take(tmp_path: Path, name: str = "2025", version: str = "1.34.2") -> LocalImage:
    folder = make_image_folder(tmp_path / name, k8s_version=version, created=f"{name}-01-01")
    return await import_folder(folder, version)


async def test_an_image_tells_its_size_its_users_and_when_it_was_kept(tmp_path: Path) -> None:
    local = await take(tmp_path)
    details = await StoredImage("1.34.2", local.checksum, None, somebody).details()
    files = [path.stat().st_blocks * 512 for path in local.folder.iterdir()]
    assert details.size == sum(files)
    assert details.used_by == ("node1",)
    assert details.kept is not None
    assert abs(datetime.now(UTC) - details.kept) < timedelta(minutes=5)
    assert details.partial == 0


async def test_an_image_that_is_not_here_still_has_users(store: Path) -> None:
    details = await StoredImage("1.34.2", "a" * 64, None, somebody).details()
    assert (details.size, details.used_by, details.kept) == (None, ("node1",), None)


async def test_everything_that_takes_room_is_told(tmp_path: Path, store: Path) -> None:
    older, newer = await take(tmp_path, "2024"), await take(tmp_path, "2025")
    damaged = await take(tmp_path, "2023", version="1.33.0")
    damaged.disk.write_bytes(b"")
    (store / ".incoming-0badcafe").mkdir()
    (store / ".incoming-0badcafe" / "half").write_bytes(bytes(1_000_000))
    copies = await list_copies(nobody)
    assert [(copy.status, copy.checksum, copy.k8s_version) for copy in copies] == [
        (CopyStatus.COMPLETE, newer.checksum, "1.34.2"),
        (CopyStatus.COMPLETE, older.checksum, "1.34.2"),
        (CopyStatus.DAMAGED, damaged.checksum, "1.33.0"),
        (CopyStatus.INTERRUPTED, "", None),
    ]
    assert "disk.qcow2 has 0 bytes" in copies[2].problem
    assert copies[3].size >= 1_000_000


async def test_looking_changes_nothing(tmp_path: Path, store: Path) -> None:
    await take(tmp_path)
    (store / ".incoming-0badcafe").mkdir()
    (store / ".incoming-0badcafe.lock").touch()
    before = sorted(store.rglob("*"))
    await list_copies(nobody)
    assert sorted(store.rglob("*")) == before


async def test_what_nobody_uses_is_removed(tmp_path: Path, store: Path) -> None:
    await take(tmp_path, "2024")
    (await take(tmp_path, "2025")).disk.write_bytes(b"")
    (store / ".incoming-0badcafe").mkdir()
    copies = await list_copies(nobody)
    assert await remove_copies(copies, nobody) == copies
    assert list(store.iterdir()) == []


async def test_what_somebody_uses_stays_even_when_it_is_damaged(tmp_path: Path) -> None:
    images = [await take(tmp_path, "2024"), await take(tmp_path, "2025")]
    images[1].disk.write_bytes(b"")
    assert await remove_copies(await list_copies(nobody), somebody) == []
    assert all(image.folder.exists() for image in images)


async def test_only_what_was_shown_is_removed(tmp_path: Path) -> None:
    await take(tmp_path, "2024")
    shown = await list_copies(nobody)
    later = await take(tmp_path, "2025")
    await remove_copies(shown, nobody)
    assert await local_images() == [later]


async def test_work_in_progress_is_neither_told_nor_removed(store: Path) -> None:
    async with incoming() as place:
        (place / "half").write_text("half")
        assert await list_copies(nobody) == []
        (store / ".incoming-0badcafe").mkdir()
        await remove_copies(await list_copies(nobody), nobody)
        assert (place / "half").exists()
        assert not (store / ".incoming-0badcafe").exists()


async def test_purging_one_of_two_images_of_a_version_leaves_the_other(tmp_path: Path) -> None:
    older, newer = await take(tmp_path, "2024"), await take(tmp_path, "2025")
    image = StoredImage("1.34.2", newer.checksum, None, nobody)
    await image.purge_local()
    assert await image.status() is ImageStatus.NOT_DOWNLOADED
    assert await local_images() == [older]


async def test_a_sound_image_is_verified_and_a_changed_one_is_told(tmp_path: Path) -> None:
    image = await take(tmp_path)
    await verify_image(image)
    kernel = image.folder / "vmlinux"
    kernel.write_bytes(kernel.read_bytes()[::-1])
    with pytest.raises(ChecksumMismatchError, match="vmlinux"):
        await verify_image(image)


async def test_nothing_is_removed_while_somebody_begins_to_use_it(tmp_path: Path) -> None:
    image = await take(tmp_path)
    users: list[str] = []

    async def look(checksum: str) -> list[str]:
        return users

    refused = []

    async def purge() -> None:
        try:
            await remove_local(image, look)
        except ImageInUseError as error:
            refused.append(error)

    async with anyio.create_task_group() as group, pinned(image):
        group.start_soon(purge)
        await anyio.wait_all_tasks_blocked()
        users.append("node1")
    assert len(refused) == 1
    assert image.disk.exists()


async def test_nobody_begins_to_use_what_is_being_removed(tmp_path: Path) -> None:
    image = await take(tmp_path)
    looked, go_on = anyio.Event(), anyio.Event()

    async def look(checksum: str) -> list[str]:
        looked.set()
        await go_on.wait()
        return []

    async with anyio.create_task_group() as group:
        group.start_soon(remove_local, image, look)
        await looked.wait()
        begun = anyio.Event()

        async def use() -> None:
            begun.set()
            with pytest.raises(ImageNotDownloadedError):
                async with pinned(image):
                    pytest.fail("it was removed")

        group.start_soon(use)
        await begun.wait()
        go_on.set()
    assert not image.folder.exists()
