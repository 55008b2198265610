"""QEMU is found, or it is told how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.images import qemu_programs

pytestmark = pytest.mark.anyio


def _programs(folder: Path, version: str) -> Path:
    for name in ("qemu-system-x86_64", "qemu-img"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version}'\n")
        program.chmod(0o755)
    return folder


async def test_missing_programs_are_named_with_the_line_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(qemu_programs, "_distribution", lambda: ("ubuntu", "debian"))
    with pytest.raises(kutti.DriverUnavailableError, match="qemu-system-x86_64") as refusal:
        await QemuDriver().check()
    assert "apt-get install qemu-system-x86 qemu-utils" in (refusal.value.hint or "")
    assert await QemuDriver().status() is kutti.DriverStatus.UNAVAILABLE


async def test_a_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(_programs(tmp_path, "9.1.2 (Debian 1:9.1.2)")))
    found = await find_qemu()
    assert found.system == str(tmp_path / "qemu-system-x86_64")
    assert found.version == (9, 1, 2)


async def test_an_old_qemu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(_programs(tmp_path, "6.2.0")))
    with pytest.raises(kutti.DriverUnavailableError, match=r"6\.2\.0 is too old") as refusal:
        await QemuDriver().check()
    assert "7.2" in (refusal.value.hint or "")


async def test_a_program_that_is_no_qemu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(_programs(tmp_path, "unknown")))
    with pytest.raises(kutti.DriverUnavailableError, match="does not tell its version"):
        await QemuDriver().check()


@pytest.mark.parametrize("system", ["debian", "fedora", "arch", "Darwin", "Windows"])
def test_each_known_system_has_its_line(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_programs, "_distribution", lambda: (system,))
    assert "qemu" in qemu_programs.install_line().lower()
    assert "package manager" not in qemu_programs.install_line()


def test_an_unknown_system_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_programs, "_distribution", lambda: ("plan9",))
    assert "package manager" in qemu_programs.install_line()
