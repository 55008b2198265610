"""Changes in folders are waited for, and none is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from kutti_sdk.runtime.file_changes import FileChanges, file_changes

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def noticed(folder: Path) -> AsyncIterator[None]:
    """Follow a folder and a file in it; what is done in the block must be noticed."""
    async with file_changes() as changes:
        changes.follow([folder], [folder / "file"])
        yield
        with anyio.fail_after(10):
            await changes.wait()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a name comes": lambda folder: (folder / "new").mkdir(),
    "a name goes": lambda folder: (folder / "other").unlink(),
    "a file is replaced": lambda folder: (folder / "other").rename(folder / "file"),
    "a file is written to": lambda folder: (folder / "file").write_text("new"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_changes_is_told_also_before_anybody_waits(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").touch()
    async with noticed(tmp_path):
        change(tmp_path)


async def test_what_is_written_to_other_files_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "disk").touch()
    async with file_changes() as changes:
        changes.follow([tmp_path], [tmp_path / "file"])
        (tmp_path / "disk").write_text("new")
        with anyio.move_on_after(0.3) as scope:
            await changes.wait()
    assert scope.cancelled_caught


async def test_places_that_are_missing_are_left_out(tmp_path: Path) -> None:
    async with file_changes() as changes:
        changes.follow([tmp_path / "missing", tmp_path], [tmp_path / "missing" / "file"])
        (tmp_path / "missing").mkdir()
        with anyio.fail_after(10):
            await changes.wait()


class Exhausted:
    """A notifier that has given out all that inotify(7) allows."""

    closed = False

    def add_watch(self, path: Path, mask: int) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        self.closed = True


async def test_where_the_system_follows_no_more_it_is_looked_at_again_and_again(
    tmp_path: Path,
) -> None:
    notifier = Exhausted()
    changes = FileChanges(notifier)  # type: ignore[arg-type]
    changes.follow([tmp_path], [])
    assert notifier.closed
    with anyio.fail_after(10):
        await changes.wait()
