"""What is wrong with images, keys, QEMU and accelerators is told, with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_machine import found, make_host, make_network
from crippled_qemu import write_crippled_qemu

import kutti_sdk as kutti
from kutti_sdk.runtime.locks import locked

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("broken_workspace")]


async def test_a_host_without_its_image_or_its_disk_is_a_problem() -> None:
    network = await make_network()
    host = await make_host(network)
    assert "is not on this machine" in found(await kutti.diagnose("qemu"), "host lab/node1").message
    host.files.disk.unlink()
    assert "is gone" in found(await kutti.diagnose("qemu"), "host lab/node1").message


async def test_keys_of_hosts_that_others_may_read_are_closed() -> None:
    host = await make_host(await make_network())
    host.files.identity.chmod(0o644)

    diagnosis = await kutti.diagnose("qemu")
    assert str(host.files.identity) in found(diagnosis, "others may read").message

    await diagnosis.mend()
    assert host.files.identity.stat().st_mode & 0o777 == 0o600


async def test_half_an_import_is_swept_and_one_that_goes_on_is_not(
    broken_workspace: Path,
) -> None:
    images = broken_workspace / "cache" / "images"
    left, busy = images / ".incoming-0badcafe", images / ".incoming-0000cafe"
    left.mkdir(parents=True)
    busy.mkdir()

    async with locked(busy.with_name(f"{busy.name}.lock")):
        diagnosis = await kutti.diagnose("qemu")
        assert "left 1 folders" in found(diagnosis, "killed downloads").message
        await diagnosis.mend()

        assert not left.exists()
        assert busy.exists()


async def test_a_damaged_image_is_a_problem_and_stays(broken_workspace: Path) -> None:
    folder = broken_workspace / "cache" / "images" / ("b" * 64)
    folder.mkdir(parents=True)

    diagnosis = await kutti.diagnose("qemu")
    assert found(diagnosis, "is damaged").severity is kutti.Severity.PROBLEM

    await diagnosis.mend()
    assert folder.exists()


async def test_a_machine_without_qemu_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = found(await kutti.diagnose("qemu"), "qemu-system-x86_64 was not found")
    assert missing.severity is kutti.Severity.PROBLEM
    assert "Run: " in missing.advice


async def test_a_qemu_without_user_mode_networking_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_crippled_qemu(tmp_path)
    monkeypatch.setenv("KUTTI_QEMU_DIR", str(tmp_path))
    crippled = found(await kutti.diagnose("qemu"), "was built without")
    assert "without -netdev user, -sandbox on" in crippled.message


async def test_a_probe_that_failed_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kutti_sdk.drivers.qemu.accelerator.KVM", Path("/nowhere/kvm"))
    emulated = found(await kutti.diagnose("qemu"), "hosts are emulated")
    assert "there is no /nowhere/kvm" in emulated.message
    assert emulated.severity is kutti.Severity.NOTE


async def test_an_accelerator_that_nobody_knows_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "warp")
    assert not (await kutti.diagnose("qemu")).healthy
