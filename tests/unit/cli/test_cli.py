"""The command line, in this process and on the simulated driver where it needs one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kutti_sdk as kutti
from kutti_sdk.cli import quickstart, system_packages
from kutti_sdk.cli.main import main
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.drivers.simulated.images import SimulatedImage
from kutti_sdk.testing.boot_disk import boot_disk


@pytest.fixture
def simulated() -> Iterator[SimulatedDriver]:
    """A simulated driver in the place of QEMU."""
    real = kutti.get_driver("qemu")
    driver = SimulatedDriver(name="qemu")
    kutti.register_driver("qemu", driver)
    yield driver
    kutti.register_driver("qemu", real)


@pytest.fixture
def nothing_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_packages, "packages_to_run", list)

    async def hear(_: object) -> str:
        return "heard"

    monkeypatch.setattr(quickstart, "reachable_from", hear)


@pytest.mark.usefixtures("workspace", "nothing_missing")
def test_the_quickstart_brings_up_two_hosts_and_leaves_them_alone_the_second_time(
    simulated: SimulatedDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.commands.answer("ping *", stdout="64 bytes from somewhere: time=1 ms\n")
    assert main(["quickstart"]) == 0
    first = capsys.readouterr().out
    assert "node1" in first
    assert 'kutti.attach("quickstart")' in first
    assert "cluster delete quickstart" in first
    assert main(["quickstart"]) == 0
    assert "create host" not in capsys.readouterr().out
    assert main(["cluster", "list"]) == 0
    assert "2 of 2 running" in capsys.readouterr().out
    assert main(["cluster", "delete", "quickstart"]) == 0
    assert main(["cluster", "show", "quickstart"]) == 1


@pytest.mark.usefixtures("workspace", "nothing_missing")
def test_a_cluster_is_suspended_and_goes_on(
    simulated: SimulatedDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.commands.answer("ping *", stdout="64 bytes from somewhere: time=1 ms\n")
    assert main(["quickstart"]) == 0
    assert main(["cluster", "resume", "quickstart"]) == 1
    assert "not suspended" in capsys.readouterr().err
    assert main(["cluster", "suspend", "quickstart"]) == 0
    assert main(["cluster", "show", "quickstart"]) == 0
    assert "2 suspended" in capsys.readouterr().out
    assert main(["cluster", "resume", "quickstart"]) == 0
    assert "2 of 2 running" in capsys.readouterr().out


@pytest.mark.usefixtures("workspace", "nothing_missing")
def test_a_cluster_is_saved_copied_and_brought_back(
    simulated: SimulatedDriver, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.commands.answer("ping *", stdout="64 bytes from somewhere: time=1 ms\n")
    assert main(["quickstart"]) == 0
    assert main(["checkpoint", "save", "quickstart", "start", "--note", "exercise 3"]) == 0
    assert "stood still" in capsys.readouterr().out
    assert main(["checkpoint", "list", "quickstart"]) == 0
    assert "exercise 3" in capsys.readouterr().out
    assert main(["checkpoint", "clone", "quickstart", "start", "one", "two"]) == 0
    assert capsys.readouterr().out.count("2 of 2 running") == 2
    assert main(["checkpoint", "export", "quickstart", "start", "file"]) == 1
    assert "cannot write checkpoints into files" in capsys.readouterr().err
    assert main(["checkpoint", "restore", "quickstart", "start"]) == 0
    assert main(["checkpoint", "delete", "quickstart", "start"]) == 0
    assert main(["checkpoint", "clone", "quickstart", "start", "three"]) == 1
    assert "no checkpoint 'start'" in capsys.readouterr().err


def test_missing_packages_are_only_told_when_asked_to(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(_: object) -> None:
        raise AssertionError("nothing may be installed")

    monkeypatch.setattr(system_packages, "packages_to_run", lambda: ["qemu-system-x86"])
    monkeypatch.setattr(system_packages, "packages_to_build", lambda: ["mmdebstrap"])
    monkeypatch.setattr(system_packages, "install", refuse)
    assert main(["quickstart", "--no-install"]) == 1
    told = capsys.readouterr()
    assert "apt-get install mmdebstrap qemu-system-x86" in told.err
    assert not list((workspace / "data").glob("**/*.json"))


def test_an_error_is_a_message_and_a_hint(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", "show", "[red]nobody"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: ")
    assert "[red]nobody" in told
    assert "Hint: " in told
    assert "Traceback" not in told


@pytest.fixture
def disk(workspace: Path) -> Path:
    import subprocess

    raw, disk = workspace / "raw", workspace / "disk.qcow2"
    raw.write_bytes(boot_disk())
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    return disk


def test_an_image_is_imported_listed_and_removed(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "import", str(disk), "--version", "1.34.2"]) == 0
    assert main(["image", "list"]) == 0
    listed = capsys.readouterr().out
    assert "1.34.2" in listed
    assert "just now" in listed
    assert main(["image", "remove", "1.34"]) == 0
    assert "are free again" in capsys.readouterr().out
    assert main(["image", "remove", "1.34"]) == 1
    assert "there is no image" in capsys.readouterr().err


def test_a_bundle_is_exported_and_knows_its_version_when_imported(
    disk: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(workspace / "lab.kutti")
    assert main(["image", "import", str(disk), "--version", "1.34.2"]) == 0
    assert main(["image", "export", "1.34", bundle]) == 0
    assert main(["image", "export", "1.34", bundle]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["image", "export", "1.34", bundle, "--force"]) == 0
    assert main(["image", "remove", "1.34"]) == 0
    assert main(["image", "import", bundle, "--version", "1.33"]) == 1
    assert main(["image", "import", bundle]) == 0
    assert "Imported image 1.34.2" in capsys.readouterr().out


def test_prune_shows_what_would_go_and_removes_nothing_unasked(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "import", str(disk), "--version", "1.34.2"]) == 0
    assert main(["image", "prune", "--dry-run"]) == 0
    assert "1.34.2" in capsys.readouterr().out
    assert main(["image", "prune"]) == 1  # nobody can be asked here
    assert "--yes" in capsys.readouterr().err
    assert main(["image", "verify"]) == 0
    assert main(["image", "prune", "--yes"]) == 0
    capsys.readouterr()
    assert main(["image", "prune"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_verify_finds_a_changed_byte(
    disk: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "import", str(disk)]) == 0
    (stored,) = workspace.glob("cache/images/*/disk.qcow2")
    raw = bytearray(stored.read_bytes())
    raw[-1] ^= 1
    stored.write_bytes(raw)
    assert main(["image", "verify", "none"]) == 1
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["8099", "laptop:8099", "127.0.0.1", "127.0.0.1:x", ":8099"])
def test_images_are_served_on_no_address_that_was_not_named(
    workspace: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert main(["image", "serve", "--address", address]) == 1
    assert "192.168.1.5:8099" in capsys.readouterr().err


def test_a_workspace_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(["--workspace", str(tmp_path / "w"), "cluster", "list"]) == 0
    finally:
        kutti.set_workspace(None)
    assert (tmp_path / "w").is_dir()


@pytest.mark.usefixtures("workspace")
def test_an_image_is_fetched_from_the_lists_that_are_named_and_warnings_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images.json").write_text('{"../1.34": {"ImageSourceURL": "http://x/y"}}')
    command = ["image", "fetch", "1.34", "--list", str(tmp_path / "images.json")]
    assert main(command) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "Warning: image list" in told
    assert "'../1.34': has no Kubernetes version" in told
    assert "there is no image" in told


@pytest.mark.usefixtures("workspace", "simulated")
def test_a_download_is_a_line_for_every_tenth_of_it_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["image", "fetch", "1.35"]) == 0
    assert 5 <= capsys.readouterr().out.count("downloading") <= 12


@pytest.mark.usefixtures("workspace", "simulated")
def test_an_image_is_warmed_for_a_size_and_cooled_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "warm", "none"]) == 1
    assert "always boot" in capsys.readouterr().err
    templates: list[dict[str, object]] = []

    async def warm_up(_: object, **size: object) -> None:
        templates.append(size)

    async def cool_down(_: object) -> None:
        templates.clear()

    async def details(_: object) -> kutti.ImageDetails:
        return kutti.ImageDetails(templates=150 * 2**20 * len(templates))

    for method in (warm_up, cool_down, details):
        monkeypatch.setattr(SimulatedImage, method.__name__, method)
    assert main(["image", "warm", "none", "--cpus", "1", "--memory", "512MiB"]) == 0
    assert templates == [{"cpus": 1, "memory": 512 * 2**20, "disk": 20 * 2**30}]
    assert "Its templates take 150 MiB" in capsys.readouterr().out
    assert main(["image", "list"]) == 0
    assert "warm: 150 MiB" in " ".join(capsys.readouterr().out.split())
    assert main(["image", "warm", "none", "--remove"]) == 0
    assert "150 MiB are free again" in capsys.readouterr().out


def test_options_that_a_driver_does_not_take_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["image", "fetch", "1.35", "--driver", "simulated", "--proxy", "http://proxy:3128"]
    assert main(command) == 1
    assert "takes no --list" in " ".join(capsys.readouterr().err.split())
