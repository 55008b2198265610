from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import anyio
import pytest
from image_samples import make_image_folder, qcow2_disk

from kutti_sdk.core.errors import ChecksumMismatchError, ImageFormatError
from kutti_sdk.images.checksums import checksum_of
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.manifest import image_checksum
from kutti_sdk.images.store import find_local, keep, local_images, remove_local
from kutti_sdk.runtime.directories import cache_dir

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_image_folder(tmp_path / "elsewhere")


@pytest.fixture(autouse=True)
def store(workspace: Path) -> Path:
    return cache_dir() / "images"


async def nobody(checksum: str) -> list[str]:
    return []


async def test_an_empty_store_has_no_images() -> None:
    assert await local_images() == []


async def test_an_imported_folder_is_found_by_its_checksum(folder: Path) -> None:
    image = await import_folder(folder, "none")
    assert image.checksum == image_checksum((folder / "image.json").read_bytes())
    assert await find_local(image.checksum) == image
    assert image.disk.read_bytes() == (folder / "disk.qcow2").read_bytes()
    assert image.disk_size == 1024 * 1024


async def test_importing_leaves_the_original_as_it_is(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    await import_folder(folder, "none")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


async def test_nothing_is_left_beside_the_images(folder: Path, store: Path) -> None:
    image = await import_folder(folder, "none")
    assert [path.name for path in store.iterdir()] == [image.checksum]
    await remove_local(image, nobody)
    assert list(store.iterdir()) == []


async def test_the_same_image_twice_is_one_image(folder: Path) -> None:
    assert await import_folder(folder, "none") == await import_folder(folder, "none")
    assert len(await local_images()) == 1


async def test_the_image_that_was_kept_last_comes_first(tmp_path: Path) -> None:
    folders = {
        year: make_image_folder(tmp_path / year, created=f"{year}-01-01T00:00:00+00:00")
        for year in ("2023", "2025", "2024")
    }
    for year in ("2023", "2025", "2024", "2023"):
        await import_folder(folders[year], "none")
    created = [image.manifest.created[:4] for image in await local_images()]
    assert created == ["2023", "2024", "2025"]


async def test_a_folder_of_another_version_is_refused_before_it_is_copied(
    folder: Path, store: Path
) -> None:
    with pytest.raises(ImageFormatError, match=r"version none, not 1\.34"):
        await import_folder(folder, "1.34")
    assert not store.exists() or list(store.iterdir()) == []


async def test_a_folder_that_is_not_the_promised_one_is_refused(folder: Path) -> None:
    with pytest.raises(ChecksumMismatchError, match="a" * 64):
        await import_folder(folder, "none", checksum="a" * 64)
    assert await local_images() == []


@pytest.mark.parametrize("name", ["disk.qcow2", "vmlinux", "initrd.img"])
async def test_a_changed_byte_is_found_on_import(folder: Path, store: Path, name: str) -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[-1] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(ChecksumMismatchError):
        await import_folder(folder, "none")
    assert list(store.iterdir()) == []


async def test_a_folder_with_a_link_in_it_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "vmlinux").rename(tmp_path / "kernel")
    (folder / "vmlinux").symlink_to(tmp_path / "kernel")
    with pytest.raises(ImageFormatError, match="plain file"):
        await import_folder(folder, "none")


async def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match=r"image\.json"):
        await import_folder(tmp_path, "none")


@pytest.mark.parametrize("damage", ["remove", "truncate", "manifest"])
async def test_a_damaged_image_is_told_and_not_offered_and_can_be_had_again(
    folder: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    image = await import_folder(folder, "none")
    if damage == "remove":
        image.disk.unlink()
    elif damage == "truncate":
        image.disk.write_bytes(b"")
    else:
        manifest = image.folder / "image.json"
        manifest.write_bytes(manifest.read_bytes().replace(b"Debian test", b"Debian tost"))
    with caplog.at_level(logging.WARNING):
        assert await local_images() == []
    assert image.checksum in caplog.text
    assert await import_folder(folder, "none") == image
    assert await local_images() == [image]


async def test_what_a_killed_process_left_behind_is_removed(folder: Path, store: Path) -> None:
    program = (
        "import anyio, os, signal\n"
        "from kutti_sdk.images.incoming import incoming\n"
        "async def main():\n"
        "    async with incoming() as place:\n"
        "        (place / 'half').write_text('half')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "anyio.run(main)\n"
    )
    environment = {**os.environ, "KUTTI_WORKSPACE": str(store.parents[1])}
    await anyio.run_process([sys.executable, "-c", program], env=environment, check=False)
    assert any(path.name.startswith(".incoming-") for path in store.iterdir())
    image = await import_folder(folder, "none")
    assert [path.name for path in store.iterdir()] == [image.checksum]


async def test_a_removal_that_was_cut_short_is_finished_later(folder: Path, store: Path) -> None:
    image = await import_folder(folder, "none")
    image.folder.rename(store / ".incoming-0badcafe")
    assert await local_images() == []
    async with incoming():
        assert not (store / ".incoming-0badcafe").exists()


async def test_work_in_progress_is_not_swept(store: Path) -> None:
    async with incoming() as first:
        (first / "half").write_text("half")
        async with incoming():
            assert (first / "half").exists()


async def test_a_cancelled_import_leaves_nothing(tmp_path: Path, store: Path) -> None:
    entered = anyio.Event()

    async def work() -> None:
        async with incoming() as place:
            (place / "half").write_bytes(qcow2_disk())
            entered.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await entered.wait()
        group.cancel_scope.cancel()
    assert list(store.iterdir()) == []


async def test_two_imports_at_once_give_one_image(folder: Path) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(import_folder, folder, "none")
    assert len(await local_images()) == 1


async def test_keeping_moves_the_folder(store: Path) -> None:
    async with incoming() as place:
        image = await keep(make_image_folder(place / "image"))
        assert not (place / "image").exists()
    assert image.folder == store / image.checksum


async def test_the_checksum_is_that_of_sha256sum(folder: Path) -> None:
    done = await anyio.run_process(["sha256sum", str(folder / "disk.qcow2")])
    assert done.stdout.decode().split()[0] == await checksum_of(folder / "disk.qcow2")
