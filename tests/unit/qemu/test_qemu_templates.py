"""Which template a host may go on from: one that was made of the very same things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.core.errors import InvalidSizeError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import GiB, MiB
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.layout import templates_folder
from kutti_sdk.drivers.qemu.machine import CPU_MODELS
from kutti_sdk.drivers.qemu.overlay import refuse_smaller
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.drivers.qemu.templates import fit, store
from kutti_sdk.drivers.qemu.templates.files import TemplateFiles
from kutti_sdk.images.manifest import DirectBoot, ImageFile, ImageManifest
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import state

pytestmark = pytest.mark.anyio

_QEMU = Qemu("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", (7, 2, 22))
_SIZE = HostSize(1, 512 * MiB, 20 * GiB)
_CLOCK = "tsc=reliable clocksource=tsc tsc_early_khz=2400000"


def _file(name: str) -> ImageFile:
    return ImageFile(name=name, size=1, sha256="0" * 64)


_MANIFEST = ImageManifest(
    k8s_version="none",
    architecture="x86_64",
    os="Debian",
    created="2026-01-01T00:00:00+00:00",
    disk=_file("disk.qcow2"),
    boot=DirectBoot(kernel=_file("vmlinux"), initrd=_file("initrd.img"), cmdline="root=/dev/vda"),
    credentials=True,
)
_IMAGE = LocalImage("a" * 64, _MANIFEST, Path("/images/a"), 4 * GiB)


class Machine:
    """What is found out about this machine."""

    def __init__(self) -> None:
        self.qemu = _QEMU
        self.accelerator = "tcg"
        self.clock = _CLOCK
        self.processor = "Some Processor"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()

    async def find_qemu() -> Qemu:
        return machine.qemu

    async def choose_accelerator(*_: object) -> str:
        return machine.accelerator

    async def clock_arguments(_: str) -> str:
        return machine.clock

    async def processor_name() -> str:
        return machine.processor

    for function in (find_qemu, choose_accelerator, clock_arguments, processor_name):
        monkeypatch.setattr(fit, function.__name__, function)
    return machine


async def _name(image: LocalImage = _IMAGE, size: HostSize = _SIZE) -> str:
    found = await fit.fit_of(image, size)
    assert found is not None
    return found.name


async def test_the_same_things_have_the_same_name_on_every_call(
    machine: Machine, workspace: Path
) -> None:
    name = await _name()
    machine.clock = _CLOCK.replace("2400000", "2400013")  # measured anew in each process
    assert await _name() == name


@pytest.mark.parametrize(
    "size",
    [replace(_SIZE, cpus=2), replace(_SIZE, memory=1 * GiB), replace(_SIZE, disk=21 * GiB)],
    ids=["cpus", "memory", "disk"],
)
async def test_hosts_of_another_size_have_another_template(
    machine: Machine, workspace: Path, size: HostSize
) -> None:
    assert await _name(size=size) != await _name()


async def test_another_image_has_another_template(machine: Machine, workspace: Path) -> None:
    assert await _name(replace(_IMAGE, checksum="b" * 64)) != await _name()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("qemu", Qemu(_QEMU.system, _QEMU.disk_tool, (10, 0, 0))),
        ("accelerator", "kvm"),
        ("clock", ""),
        ("processor", "Another Processor"),
    ],
)
async def test_another_machine_has_another_template(
    machine: Machine, workspace: Path, what: str, value: Any
) -> None:
    name = await _name()
    setattr(machine, what, value)
    assert await _name() != name


async def test_a_driver_that_runs_hosts_in_another_way_has_other_templates(
    machine: Machine, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await _name()
    monkeypatch.setitem(CPU_MODELS, "tcg", "qemu64,+rdrand")
    other = await _name()
    assert other != name
    monkeypatch.setattr(fit, "FORMAT", fit.FORMAT + 1)
    assert await _name() not in (name, other)


@pytest.mark.parametrize(
    "manifest",
    [replace(_MANIFEST, boot=None), replace(_MANIFEST, credentials=None)],
    ids=["own boot loader", "nobody knows"],
)
async def test_hosts_of_images_from_elsewhere_always_boot(
    machine: Machine, workspace: Path, manifest: ImageManifest
) -> None:
    assert await fit.fit_of(replace(_IMAGE, manifest=manifest), _SIZE) is None


async def test_a_disk_that_is_smaller_than_that_of_the_image_is_refused() -> None:
    refuse_smaller(_IMAGE, _IMAGE.disk_size)
    with pytest.raises(InvalidSizeError, match="smaller") as refusal:
        refuse_smaller(_IMAGE, _IMAGE.disk_size - 1)
    assert refusal.value.hint == "Use 4 GiB or more."


async def test_a_template_that_is_not_whole_is_not_seen_and_swept(workspace: Path) -> None:
    whole = _keep("a" * 24)
    no_devices = _keep("b" * 24)
    no_devices.state.devices.unlink()
    short = _keep("c" * 24)
    short.state.memory.write_bytes(b"")
    no_disk = _keep("d" * 24)
    (no_disk.folder / "disk-1.qcow2").unlink()
    unreadable = _keep("e" * 24)
    unreadable.record.write_text("{")
    moved = _keep("f" * 24)
    moved.folder.rename(moved.folder.with_name("0" * 24))
    half_made = _keep(f".{'a' * 24}.12345678")
    assert [template.name for template in await store.load_templates()] == [whole.folder.name]
    async with store.held(no_devices.folder.name) as template:
        assert template is None
    assert not half_made.folder.exists(), "nobody works on it"
    await store.sweep()  # the image of the whole one is not on this machine
    assert not [path for path in templates_folder().iterdir() if path.is_dir()]


def _keep(name: str) -> TemplateFiles:
    files = TemplateFiles(templates_folder() / name)
    files.folder.mkdir()
    files.state.memory.write_bytes(b"memory")
    files.state.devices.write_bytes(b"devices")
    (files.folder / "disk-1.qcow2").write_bytes(b"disk")
    record = store.TemplateRecord(
        name=name,
        image="a" * 64,
        k8s_version="none",
        size=HostSize(1, len(b"memory"), GiB),
        disk="disk-1.qcow2",
        devices=len(b"devices"),
        conditions=Conditions(
            qemu=(7, 2, 22), machine="pc-i440fx-7.2", accelerator="tcg", cpu="max", processor=""
        ),
        created=0.0,
    )
    state.save_now(files.record, record)
    return files
