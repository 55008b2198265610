"""EFI firmware is found by its descriptors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.firmware import find_efi


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Qemu:
    """A QEMU whose firmware is below a folder of the test, before that of this machine."""
    monkeypatch.setattr("kutti_sdk.drivers.qemu.firmware._SYSTEM_FOLDERS", ())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    program = tmp_path / "usr" / "bin" / "qemu-system-x86_64"
    program.parent.mkdir(parents=True)
    program.touch()
    return Qemu(str(program), "qemu-img", (7, 2, 0))


def describe(
    folder: Path,
    name: str,
    *,
    kind: str = "uefi",
    machine: str = "pc-i440fx-*",
    features: tuple[str, ...] = (),
    device: str = "flash",
    architecture: str = "x86_64",
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mapping: dict[str, object] = {
        "device": device,
        "executable": {"filename": f"/{name}/code", "format": "raw"},
        "nvram-template": {"filename": f"/{name}/variables", "format": "qcow2"},
    }
    text = {
        "description": "a test",
        "interface-types": [kind],
        "mapping": mapping,
        "targets": [{"architecture": architecture, "machines": [machine]}],
        "features": features,
        "tags": [],
    }
    (folder / f"{name}.json").write_text(json.dumps(text))


def shared(qemu: Qemu) -> Path:
    return Path(qemu.system).parents[1] / "share" / "qemu" / "firmware"


def test_the_first_that_suits_by_name_is_taken(qemu: Qemu) -> None:
    describe(shared(qemu), "10-other", architecture="aarch64")
    describe(shared(qemu), "20-bios", kind="bios")
    describe(shared(qemu), "30-secure", features=("secure-boot", "requires-smm"))
    describe(shared(qemu), "40-new", machine="pc-q35-*")
    describe(shared(qemu), "45-memory", device="memory")
    describe(shared(qemu), "60-second")
    describe(shared(qemu), "50-first")
    found = find_efi(qemu)
    assert found.executable.filename == "/50-first/code"
    assert (found.nvram_template.filename, found.nvram_template.format) == (
        "/50-first/variables",
        "qcow2",
    )


def test_the_users_own_hides_its_namesake(qemu: Qemu, tmp_path: Path) -> None:
    describe(shared(qemu), "50-first")
    describe(shared(qemu), "60-second")
    own = tmp_path / "home" / ".config" / "qemu" / "firmware"
    own.mkdir(parents=True)
    (own / "50-first.json").touch()
    assert find_efi(qemu).executable.filename == "/60-second/code"


def test_a_descriptor_that_cannot_be_read_is_passed_over(qemu: Qemu) -> None:
    shared(qemu).mkdir(parents=True)
    (shared(qemu) / "10-broken.json").write_text('{"mapping": 7}')
    describe(shared(qemu), "50-good")
    assert find_efi(qemu).executable.filename == "/50-good/code"


def test_without_one_the_hint_names_the_package(qemu: Qemu) -> None:
    with pytest.raises(DriverUnavailableError) as caught:
        find_efi(qemu)
    assert "apt-get install ovmf" in str(caught.value)
