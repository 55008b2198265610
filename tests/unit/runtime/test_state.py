"""A state file is the old one or the new one, and never lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import CorruptStateError, StateError
from kutti_sdk.runtime import state


@dataclass(frozen=True, slots=True)
class Port:
    host: int
    vm: int = 22


@dataclass(frozen=True)
class Record:
    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    share: float | None = None


integers = st.integers(-(2**63), 2**63 - 1)
records = st.builds(
    Record,
    name=st.text(),
    sizes=st.dictionaries(st.text(), integers),
    ports=st.lists(st.builds(Port, integers, integers)).map(tuple),
    share=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.json"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class TestRoundTrip:
    pytestmark = pytest.mark.anyio

    async def test_what_is_saved_is_loaded(self, path: Path) -> None:
        record = Record("lab", {"disk": 2**40}, (Port(8080), Port(2222, 80)), 0.5)
        await state.save(path, record)
        assert await state.load(path, Record) == record
        assert names(path.parent) == ["network.json"]

    async def test_a_file_that_is_not_there_is_nothing(self, path: Path) -> None:
        assert await state.load(path, Record) is None
        assert await state.load(path / "below a missing folder", Record) is None

    async def test_keys_of_a_later_version_are_left_out(self, path: Path) -> None:
        path.write_text('{"name": "lab", "colour": {"new": [1, 2]}}')
        assert await state.load(path, Record) == Record("lab")

    async def test_people_can_read_it(self, path: Path) -> None:
        await state.save(path, Record("lab"))
        assert path.read_text().startswith('{\n  "name": "lab",\n')


@given(records)
def test_any_record_survives_the_way_to_the_disk_and_back(
    tmp_path_factory: pytest.TempPathFactory, record: Record
) -> None:
    import msgspec

    path = tmp_path_factory.getbasetemp() / "any.json"
    state.write_bytes(path, msgspec.json.encode(record))
    assert state.load_now(path, Record) == record


@given(st.binary())
def test_any_bytes_are_a_record_or_reported_as_corrupt(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    with pytest.raises(CorruptStateError):
        state.load_now(path, Record)
    assert path.read_bytes() == content


class TestWhatCannotBeUsed:
    pytestmark = pytest.mark.anyio

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00" * 512,
            b'{"name": "la',
            b'{"name": 1}',
            b"{}",
            b'{"name": "\xff"}',
            b'{"unknown": ' + b"[" * 100_000,
        ],
        ids=["empty", "zeros", "cut off", "wrong type", "key missing", "no text", "too deep"],
    )
    async def test_a_corrupt_file_is_reported_and_left_as_it_is(
        self, path: Path, content: bytes
    ) -> None:
        path.write_bytes(content)
        with pytest.raises(CorruptStateError, match=r"(?s)network.json does not parse.*Hint: "):
            await state.load(path, Record)
        assert path.read_bytes() == content

    async def test_a_folder_in_the_way_is_an_error_with_a_hint(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(StateError, match=r"(?s)network.json cannot be read.*Hint: "):
            await state.load(path, Record)
        with pytest.raises(StateError, match=r"(?s)network.json cannot be written.*Hint: "):
            await state.save(path, Record("lab"))
        assert names(path.parent) == ["network.json"]

    async def test_a_missing_folder_is_an_error_with_a_hint(self, path: Path) -> None:
        with pytest.raises(StateError, match=r"(?s)cannot be written.*Hint: "):
            await state.save(path / "x" / "y", Record("lab"))

    async def test_a_link_to_a_file_stays_a_link(self, path: Path) -> None:
        place = path.with_name("place.json")
        await state.save(place, Record("old"))
        path.symlink_to(place)
        await state.save(path, Record("new"))
        assert path.is_symlink()
        assert await state.load(place, Record) == Record("new")

    async def test_a_link_to_nothing_is_not_taken_for_a_missing_file(self, path: Path) -> None:
        path.symlink_to(path.with_name("drive") / "network.json")
        with pytest.raises(StateError, match=r"cannot be read"):
            await state.load(path, Record)


class TestWriting:
    pytestmark = pytest.mark.anyio

    @pytest.mark.skipif(os.name != "posix", reason="permission modes are POSIX's")
    async def test_files_are_for_this_user_alone_unless_asked_otherwise(self, path: Path) -> None:
        path.touch(mode=0o644)
        await state.save(path, Record("lab"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        state.write_bytes(path, b"", mode=0o400)
        assert stat.S_IMODE(path.stat().st_mode) == 0o400

    async def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        await state.save(path, Record("old"))
        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(StateError, match="No space left"):
            await state.save(path, Record("new"))
        monkeypatch.undo()
        assert await state.load(path, Record) == Record("old")
        assert names(path.parent) == ["network.json"]

    async def test_content_is_on_the_disk_before_it_is_in_place(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = []
        fsync, replace = os.fsync, os.replace

        def note_sync(descriptor: int) -> None:
            kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
            steps.append(f"sync {kind}")
            fsync(descriptor)

        def note_replace(source: Path, target: Path) -> None:
            steps.append("replace")
            replace(source, target)

        monkeypatch.setattr("os.fsync", note_sync)
        monkeypatch.setattr("os.replace", note_replace)
        await state.save(path, Record("lab"))
        assert steps == ["sync file", "replace", "sync folder"]

    async def test_what_a_killed_writer_left_is_swept_when_it_is_old(self, path: Path) -> None:
        old, fresh, foreign = (
            path.with_name(name)
            for name in (
                ".network.json.01234567.new",
                ".network.json.89abcdef.new",
                ".other.json.01234567.new",
            )
        )
        for left in (old, fresh, foreign):
            left.touch()
        for left in (old, foreign):
            os.utime(left, (time.time() - 7200,) * 2)
        await state.save(path, Record("lab"))
        assert names(path.parent) == sorted([fresh.name, foreign.name, path.name])

    async def test_a_removed_file_takes_with_it_what_killed_writers_left(self, path: Path) -> None:
        await state.save(path, Record("lab"))
        for name in (".network.json.01234567.new", ".other.json.01234567.new"):
            path.with_name(name).touch()
        state.remove(path)
        state.remove(path)
        assert names(path.parent) == [".other.json.01234567.new"]


def test_a_writer_killed_at_any_instant_leaves_a_whole_file(path: Path) -> None:
    script = f"""
import itertools
from pathlib import Path
from kutti_sdk.runtime.state import write_bytes
print(flush=True)
for count in itertools.count():
    write_bytes(Path({str(path)!r}), b'{{"name": "%d", "sizes": {{}}}}' % count + b" " * 2**20)
"""
    for attempt in range(5):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            while not path.exists():
                time.sleep(0.01)
            time.sleep(0.003 * attempt)
            writer.kill()
        assert isinstance(state.load_now(path, Record), Record)
        assert path.stat().st_size > 2**20
