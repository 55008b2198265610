"""What is kept of suspended hosts: used when it is whole, told when it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kutti_sdk as kutti
from kutti_sdk.core.sizes import GiB
from kutti_sdk.drivers.qemu import suspended
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.machine import CPU_MODELS, host_command, host_outlets
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.drivers.qemu.suspended import SuspendedFiles, Suspension, usable_suspension
from kutti_sdk.images.manifest import ImageFile, ImageManifest
from kutti_sdk.runtime import state

pytestmark = pytest.mark.anyio

_QEMU = Qemu("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", (7, 2, 22))
_IMAGE: Any = SimpleNamespace(kernel=None)
_MANIFEST = ImageManifest(
    k8s_version="none",
    architecture="x86_64",
    os="Debian",
    created="2026-01-01T00:00:00+00:00",
    disk=ImageFile(name="disk.qcow2", size=1, sha256="0" * 64),
)


@pytest.fixture
async def kept(host: HostRecord, monkeypatch: pytest.MonkeyPatch) -> SuspendedFiles:
    """What is kept of a host that was suspended here."""
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "tcg")
    files = SuspendedFiles(host.files.suspended)
    files.folder.mkdir(parents=True)
    files.state.write_bytes(b"memory and devices")
    size, digest = await suspended.checked_size(files)
    conditions = Conditions(
        qemu=(7, 2, 22),
        machine="pc-i440fx-7.2",
        accelerator="tcg",
        cpu=CPU_MODELS["tcg"],
        processor="",
    )
    record = Suspension(
        conditions=conditions, disk=host.disk, size=size, sha256=digest, created=1.0
    )
    await state.save(files.record, record)
    return files


async def _told(host: HostRecord) -> tuple[Suspension | None, list[str]]:
    events: list[kutti.ProgressEvent] = []
    with kutti.observe(events.append):
        found = await usable_suspension(host, _QEMU, _IMAGE)
    return found, [event.message for event in events if event.phase == "warning"]


async def test_what_is_whole_is_used_and_nothing_is_told(
    host: HostRecord, kept: SuspendedFiles
) -> None:
    found, told = await _told(host)
    assert found is not None
    assert found.conditions.machine == "pc-i440fx-7.2"
    assert told == []
    assert await suspended.is_suspended(host)


async def test_a_host_of_which_nothing_is_kept_boots_and_nothing_is_told(host: HostRecord) -> None:
    host.files.folder.mkdir(parents=True)
    assert await _told(host) == (None, [])
    host.files.suspended.mkdir()  # as an interrupted suspend leaves it
    assert await _told(host) == (None, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"memory and devicez", "checksum", id="changed"),
        pytest.param(b"memory and", "10 bytes and not 18", id="cut off"),
        pytest.param(None, "gone", id="removed"),
    ],
)
async def test_what_is_damaged_is_told_and_given_up(
    host: HostRecord, kept: SuspendedFiles, content: bytes | None, words: str
) -> None:
    if content is None:
        kept.state.unlink()
    else:
        kept.state.write_bytes(content)
    found, (told,) = await _told(host)
    assert found is None
    assert "node1 boots" in told
    assert words in told
    assert not host.files.suspended.exists()


async def test_a_record_that_does_not_parse_and_another_disk_are_damage_as_well(
    host: HostRecord, kept: SuspendedFiles
) -> None:
    other = replace(host, disk="disk-0123abcd.qcow2")
    assert "belongs to disk disk.qcow2" in (await _told(other))[1][0]
    kept.folder.mkdir()
    kept.record.write_text("{")
    assert "does not parse" in (await _told(host))[1][0]


async def test_what_only_cannot_be_read_now_is_kept(
    host: HostRecord, kept: SuspendedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: SuspendedFiles) -> tuple[int, str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(suspended, "checked_size", fail)
    with pytest.raises(kutti.StateError, match="Input/output error") as refusal:
        await usable_suspension(host, _QEMU, _IMAGE)
    assert refusal.value.hint
    assert await suspended.is_suspended(host)


async def test_what_was_kept_under_a_newer_qemu_is_kept_for_it(
    host: HostRecord, kept: SuspendedFiles
) -> None:
    older = Qemu(_QEMU.system, _QEMU.disk_tool, (7, 1, 0))
    with pytest.raises(kutti.CheckpointMismatchError, match=r"QEMU 7\.2\.22") as refusal:
        await usable_suspension(host, older, _IMAGE)
    assert "force_stop" in (refusal.value.hint or "")
    assert await suspended.is_suspended(host)


def test_a_suspended_host_has_memory_of_its_own_and_the_room_of_one_that_boots(
    host: HostRecord, network: NetworkRecord
) -> None:
    def command(**how: Any) -> list[str]:
        large = replace(host, size=replace(host.size, memory=2 * GiB))
        return host_command(
            _QEMU,
            large,
            host_outlets(large, network),
            accelerator="tcg",
            manifest=_MANIFEST,
            image_folder=Path("/images"),
            **how,
        )

    booted, waiting = command(), command(incoming="pc-i440fx-7.2")
    assert waiting == [*booted, "-machine", "pc-i440fx-7.2", "-S", "-incoming", "defer"]
