"""Files go where they belong, all below one folder if asked."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
import pytest

from kutti_sdk.core.errors import StateError
from kutti_sdk.runtime import directories
from kutti_sdk.runtime.directories import (
    WORKSPACE_VARIABLE,
    cache_dir,
    config_dir,
    data_dir,
    runtime_dir,
    set_workspace,
    within_workspace,
)

ALL = {"cache": cache_dir, "config": config_dir, "data": data_dir, "run": runtime_dir}

posix_only = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


@pytest.fixture
def workspace() -> Iterator[Path]:
    """Use a folder whose path is short enough for sockets, other than `tmp_path` may be."""
    with TemporaryDirectory(prefix="kutti-test-", dir="/tmp" if os.name == "posix" else None) as it:
        set_workspace(it)
        yield Path(it).resolve()
        set_workspace(None)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKSPACE_VARIABLE, raising=False)


@pytest.mark.parametrize(("name", "folder"), ALL.items())
def test_a_workspace_holds_all_folders(
    workspace: Path, name: str, folder: Callable[[], Path]
) -> None:
    assert folder() == workspace / name
    assert folder().is_dir()


@posix_only
@pytest.mark.parametrize("folder", ALL.values())
def test_folders_are_for_this_user_alone(workspace: Path, folder: Callable[[], Path]) -> None:
    assert stat.S_IMODE(folder().stat().st_mode) == 0o700


def test_a_workspace_is_made_when_it_is_first_needed(workspace: Path) -> None:
    set_workspace(workspace / "a" / "b")
    assert not (workspace / "a").exists()
    assert data_dir() == workspace / "a" / "b" / "data"


def test_the_variable_names_the_workspace_unless_one_is_set(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace / "named"))
    assert data_dir() == workspace / "data"
    set_workspace(None)
    assert directories.workspace() == workspace / "named"
    assert data_dir() == workspace / "named" / "data"


def test_without_a_workspace_the_users_own_folders_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_workspace(None)
    monkeypatch.setenv(WORKSPACE_VARIABLE, "")
    assert directories.workspace() is None
    for kind in ("cache", "config", "data"):
        monkeypatch.setattr(platformdirs, f"user_{kind}_path", lambda name: tmp_path / name)
    assert data_dir() == config_dir() == cache_dir() == tmp_path / "kutti"


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    monkeypatch.setenv("HOME", str(workspace))
    set_workspace("~/lab")
    assert directories.workspace() == workspace / "lab"


@pytest.mark.parametrize("spelling", ["real/../real", "link"])
def test_two_spellings_of_a_workspace_are_one(workspace: Path, spelling: str) -> None:
    (workspace / "real").mkdir()
    (workspace / "link").symlink_to(workspace / "real")
    set_workspace(workspace / spelling)
    assert directories.workspace() == workspace / "real"


@posix_only
def test_a_long_path_is_replaced_by_one_that_sockets_can_have(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder_of(name: str) -> Path:
        set_workspace(workspace / ("x" * 60) / name)
        return runtime_dir()

    try:
        first, second = folder_of("one"), folder_of("two")
        monkeypatch.setenv("TMPDIR", str(workspace))  # as it may be in another process
        assert folder_of("one") == first != second
        for folder in (first, second):
            assert len(os.fsencode(folder)) <= 70
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        first.rmdir()
        second.rmdir()


@posix_only
@pytest.mark.parametrize("mode", [0o755, 0o710, 0o750, 0o701])
def test_a_runtime_folder_open_to_others_is_refused(workspace: Path, mode: int) -> None:
    runtime_dir().chmod(mode)
    with pytest.raises(StateError, match=r"(?s)not a folder for this user alone.*Hint: .*chmod"):
        runtime_dir()


@posix_only
@pytest.mark.parametrize("mode", [0o720, 0o777, 0o702, 0o1777])
@pytest.mark.parametrize("folder", ALL.values())
def test_a_folder_that_others_may_write_to_is_refused(
    workspace: Path, folder: Callable[[], Path], mode: int
) -> None:
    folder().chmod(mode)
    with pytest.raises(StateError, match=r"(?s)others may write to it.*Hint: .*chmod go-w"):
        folder()


@posix_only
@pytest.mark.parametrize("folder", ALL.values())
def test_a_folder_of_somebody_else_is_refused(
    workspace: Path, folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder()
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(StateError, match="belongs to another user"):
        folder()


@posix_only
@pytest.mark.parametrize("folder", ALL.values())
def test_a_link_that_somebody_planted_to_a_folder_of_theirs_is_refused(
    workspace: Path, folder: Callable[[], Path]
) -> None:
    (workspace / "theirs").mkdir()
    (workspace / "theirs").chmod(0o777)
    folder().rmdir()
    (workspace / next(name for name, it in ALL.items() if it is folder)).symlink_to(
        workspace / "theirs"
    )
    with pytest.raises(StateError, match="others may write to it"):
        folder()


@posix_only
def test_folders_are_for_this_user_alone_whatever_the_umask(workspace: Path) -> None:
    set_workspace(workspace / "a" / "b")
    before = os.umask(0)
    try:
        folders = [folder() for folder in ALL.values()]
    finally:
        os.umask(before)
    for folder in (workspace / "a", workspace / "a" / "b", *folders):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@posix_only
def test_a_runtime_folder_that_is_a_link_is_refused(workspace: Path) -> None:
    (workspace / "elsewhere").mkdir(mode=0o700)
    (workspace / "run").symlink_to(workspace / "elsewhere")
    with pytest.raises(StateError, match="not a folder for this user alone"):
        runtime_dir()


def test_no_folder_for_sockets_at_all_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str) -> Path:
        raise PermissionError("owned by somebody else")

    set_workspace(None)
    monkeypatch.setattr(platformdirs, "user_runtime_path", refuse)
    with pytest.raises(StateError, match=r"(?s)owned by somebody else.*Hint: .*XDG_RUNTIME_DIR"):
        runtime_dir()


@pytest.mark.parametrize("folder", ALL.values())
def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(
    workspace: Path, folder: Callable[[], Path]
) -> None:
    (workspace / "file").touch()
    set_workspace(workspace / "file")
    with pytest.raises(StateError, match=r"(?s)cannot be made: .*Hint: .*KUTTI_WORKSPACE"):
        folder()


def test_a_folder_that_may_not_be_written_to_is_an_error_with_a_hint(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)  # root may everything
    with pytest.raises(StateError, match=r"(?s)may not be written to.*Hint: .*KUTTI_WORKSPACE"):
        data_dir()


def test_a_workspace_can_hold_for_a_block_only(workspace: Path, tmp_path: Path) -> None:
    with within_workspace(tmp_path):
        assert data_dir() == tmp_path / "data"
    assert data_dir() == workspace / "data"
