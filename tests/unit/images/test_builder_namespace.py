from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import psutil
import pytest

from kutti_sdk.core.errors import ImageBuildError
from kutti_sdk.images.builder import namespace as namespace_module
from kutti_sdk.images.builder.log import build_log
from kutti_sdk.images.builder.namespace import UserNamespace, subordinate_ids


def can_make_namespaces() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        subordinate_ids()
    except ImageBuildError:
        return False
    return subprocess.call(["unshare", "--user", "true"], stderr=subprocess.DEVNULL) == 0


pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs user namespaces"),
]


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[UserNamespace]:
    async with build_log(tmp_path / "log") as log:
        yield UserNamespace(subordinate_ids(), log)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that is this test's own, open to everybody."""
    path = Path(tempfile.mkdtemp(prefix="namespace-"))
    path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def output(namespace: UserNamespace, *command: str, folder: Path = Path("/")) -> list[str]:
    lines: list[str] = []
    await namespace.run(*command, folder=folder, on_line=lines.append)
    return lines


async def test_a_program_is_root_inside_and_nobody_outside(namespace: UserNamespace) -> None:
    assert await output(namespace, "id", "-u") == ["0"]
    assert await output(namespace, "id", "-G") == ["0"]
    mapping = (await output(namespace, "cat", "/proc/self/uid_map"))[0].split()
    assert mapping == ["0", str(subordinate_ids().uid), "65536"]
    assert int(mapping[1]) >= 65536


async def test_root_inside_cannot_write_files_of_the_machine_or_the_caller(
    namespace: UserNamespace, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    mine.chmod(0o644)
    for path in ("/etc/hosts", str(mine)):
        with pytest.raises(ImageBuildError):
            await namespace.run("dd", "of=" + path, "if=/dev/null", folder=Path("/"))
    assert mine.read_text() == "mine"


async def test_a_failure_shows_the_last_lines_and_names_the_log(
    namespace: UserNamespace, tmp_path: Path
) -> None:
    with pytest.raises(ImageBuildError, match="status 3") as failed:
        await namespace.run("sh", "-c", "echo out; echo bad >&2; exit 3", folder=Path("/"))
    assert "bad" in failed.value.message
    assert str(tmp_path / "log") in (failed.value.hint or "")
    assert "out\nbad\n" in (tmp_path / "log").read_text()


async def test_a_missing_program_is_a_failure(namespace: UserNamespace) -> None:
    with pytest.raises(ImageBuildError):
        await namespace.run("no-such-program", folder=Path("/"))


async def test_programs_see_little_of_the_callers_environment(
    namespace: UserNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    lines = await output(namespace, "env")
    assert not any("SECRET_TOKEN" in line for line in lines)
    assert "http_proxy=http://proxy:3128" in lines


async def test_input_and_output_are_the_callers_files(
    namespace: UserNamespace, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("through")
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as to:
        await namespace.run("cat", folder=Path("/"), stdin=source, stdout=to)
    assert (tmp_path / "out").read_text() == "through"


async def test_a_cancelled_program_and_its_children_are_killed(namespace: UserNamespace) -> None:
    started = anyio.Event()
    mark = f"3600.{os.getpid()}"  # in the command line of the grandchildren

    def on_line(line: str) -> None:
        started.set()

    async def work() -> None:
        script = f"setsid sleep {mark} & sleep {mark} & echo started; wait"
        await namespace.run("sh", "-c", script, folder=Path("/"), on_line=on_line)

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await started.wait()
        group.cancel_scope.cancel()
    await all_gone(mark)


async def test_programs_end_when_the_caller_is_killed(tmp_path: Path) -> None:
    mark = f"3601.{os.getpid()}"
    script = (
        "import anyio, pathlib, sys\n"
        "from kutti_sdk.images.builder.log import build_log\n"
        "from kutti_sdk.images.builder.namespace import UserNamespace, subordinate_ids\n"
        "async def main():\n"
        f"    async with build_log(pathlib.Path({str(tmp_path / 'log2')!r})) as log:\n"
        "        inside = UserNamespace(subordinate_ids(), log)\n"
        f"        await inside.run('sh', '-c', 'echo up; sleep {mark} & wait',\n"
        "            folder=pathlib.Path('/'), on_line=lambda line: print(line, flush=True))\n"
        "anyio.run(main)\n"
    )
    async with await anyio.open_process([sys.executable, "-c", script]) as process:
        assert process.stdout is not None
        assert (await process.stdout.receive()).startswith(b"up")
        process.send_signal(signal.SIGKILL)
    await all_gone(mark)


async def all_gone(mark: str) -> None:
    with anyio.fail_after(60):
        while any(mark in line for line in command_lines()):
            await anyio.sleep(0.05)


def command_lines() -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if "sleep" in (line := " ".join(process.cmdline())) and "import anyio" not in line:
                found.append(line)
        except psutil.Error:
            continue
    return found


async def test_the_scratch_folder_is_roots_inside_and_goes_away(
    namespace: UserNamespace, place: Path
) -> None:
    async with namespace.scratch_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_uid == subordinate_ids().uid
        await namespace.run("sh", "-c", "mkdir d && touch d/f", folder=folder)
    assert list(place.iterdir()) == []


async def test_the_scratch_folder_goes_away_after_a_failure(
    namespace: UserNamespace, place: Path
) -> None:
    with pytest.raises(ImageBuildError):
        async with namespace.scratch_folder() as folder:
            await namespace.run("false", folder=folder)
    assert list(place.iterdir()) == []


async def test_what_a_killed_build_left_is_removed_but_not_what_is_in_use(
    namespace: UserNamespace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_module, "_LOCKED_AFTER", -1.0)
    await namespace.run("mkdir", "-m", "0755", f"{place}/kutti-build-dead", folder=place)
    async with namespace.scratch_folder() as first:
        assert [path.name for path in place.iterdir()] == [first.name]
        async with namespace.scratch_folder():
            assert first.exists()


async def test_folders_of_others_are_left_alone(
    namespace: UserNamespace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_module, "_LOCKED_AFTER", -1.0)
    (place / "kutti-build-mine").mkdir()
    async with namespace.scratch_folder():
        pass
    assert (place / "kutti-build-mine").exists()


async def test_a_folder_that_nobody_else_may_write_to_is_told(
    namespace: UserNamespace, place: Path
) -> None:
    place.chmod(0o755)
    with pytest.raises(ImageBuildError) as failed:
        async with namespace.scratch_folder():
            pass
    assert "TMPDIR" in (failed.value.hint or "")
