"""An accelerator is used only when a kernel boots under it."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import psutil
import pytest
from pretended_agent import environment

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu import accelerator
from kutti_sdk.drivers.qemu.accelerator import choose_accelerator
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.runtime.processes import identify

pytestmark = pytest.mark.anyio

_TELLS_OF_A_BOOT = (
    'for word; do case "$word" in file:*) echo "$SAYS" > "${word#file:}";; esac; done'
)


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Qemu:
    """A program in place of QEMU, as no real accelerator is at hand that surely works."""
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\n{_TELLS_OF_A_BOOT}\n$THEN\n")
    program.chmod(0o755)
    monkeypatch.setenv("THEN", "true")
    monkeypatch.setattr(accelerator, "_CANDIDATES", {"linux": ("kvm",)})
    monkeypatch.setattr(accelerator, "is_offered", lambda _: True)
    monkeypatch.delenv("KUTTI_QEMU_ACCEL", raising=False)
    return Qemu(str(program), "qemu-img", (7, 2, 0))


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(b"kernel")
    return path


def _runs(qemu: Qemu) -> int:
    runs = Path(qemu.system).with_name("runs")
    return len(runs.read_text().splitlines()) if runs.exists() else 0


async def test_what_boots_is_used_and_remembered(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYS", "VFS: Unable to mount root fs on unknown-block(0,0)")
    assert await choose_accelerator(qemu, kernel) == "kvm"
    assert await choose_accelerator(qemu, kernel) == "kvm"
    assert _runs(qemu) == 1


async def test_what_aborts_is_not_used_and_remembered(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYS", "Linux version 6.1")
    monkeypatch.setenv("THEN", "exit 134")
    assert await choose_accelerator(qemu, kernel) == "tcg"
    assert await choose_accelerator(qemu, kernel) == "tcg"
    assert _runs(qemu) == 1


async def test_what_hangs_is_not_used(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEN", "exec sleep 600")
    monkeypatch.setattr(accelerator, "DEADLINE", 0.3)
    assert await choose_accelerator(qemu, kernel) == "tcg"


async def test_what_hangs_and_outlives_who_was_killed_is_ended_by_the_next_probe(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEN", "exec sleep 600")
    program = (
        "import anyio\n"
        "from pathlib import Path\n"
        "from kutti_sdk.drivers.qemu.accelerator import probe\n"
        "from kutti_sdk.drivers.qemu.binaries import Qemu\n"
        f"qemu = Qemu({qemu.system!r}, 'qemu-img', (7, 2, 0))\n"
        f"anyio.run(probe, qemu, 'kvm', Path({str(kernel)!r}))\n"
    )
    env = environment(KUTTI_WORKSPACE=str(workspace))
    async with await anyio.open_process([sys.executable, "-c", program], env=env) as killed:
        with anyio.fail_after(30):
            while not (left := psutil.Process(killed.pid).children()):
                await anyio.sleep(0.05)
        killed.kill()
    assert identify(left[0].pid) is not None
    monkeypatch.setenv("THEN", "true")
    monkeypatch.setenv("SAYS", "VFS: Unable to mount root fs")
    assert await choose_accelerator(qemu, kernel) == "kvm"
    assert identify(left[0].pid) is None


async def test_another_kernel_is_tried_anew(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYS", "nothing")
    await choose_accelerator(qemu, kernel)
    kernel.write_bytes(b"another kernel")
    monkeypatch.setenv("SAYS", "VFS: Unable to mount root fs")
    assert await choose_accelerator(qemu, kernel) == "kvm"


async def test_the_environment_decides_without_a_probe(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "hvf")
    assert await choose_accelerator(qemu, kernel) == "hvf"
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "magic")
    with pytest.raises(kutti.DriverUnavailableError, match="magic"):
        await choose_accelerator(qemu, kernel)
    assert _runs(qemu) == 0


async def test_a_damaged_memory_is_made_anew(
    workspace: Path, qemu: Qemu, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYS", "VFS: Unable to mount root fs")
    (kutti.cache_dir() / "qemu-accelerators.json").write_text("{")
    assert await choose_accelerator(qemu, kernel) == "kvm"
