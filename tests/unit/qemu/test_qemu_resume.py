"""States that hosts go on from: used once, and by whom they are meant for."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from kutti_sdk.core.errors import CheckpointMismatchError
from kutti_sdk.drivers.qemu import resume
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.checkpoints.conditions import refuse_mismatch
from kutti_sdk.drivers.qemu.machine import CPU_MODELS, host_command, host_outlets
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.drivers.qemu.resume import Conditions, ResumeFiles
from kutti_sdk.images.manifest import ImageFile, ImageManifest

CONDITIONS = Conditions(
    qemu=(7, 2, 22), machine="pc-i440fx-7.2", accelerator="tcg", cpu=CPU_MODELS["tcg"], processor=""
)
_QEMU = Qemu("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", (7, 2, 22))

_MANIFEST = ImageManifest(
    k8s_version="none",
    architecture="x86_64",
    os="Debian",
    created="2026-01-01T00:00:00+00:00",
    disk=ImageFile(name="disk.qcow2", size=1, sha256="0" * 64),
)


@pytest.fixture
def saved(host: HostRecord, workspace: Path) -> ResumeFiles:
    host.files.folder.mkdir(parents=True)
    place = ResumeFiles(workspace / "saved")
    place.folder.mkdir()
    place.memory.write_bytes(b"memory")
    place.devices.write_bytes(b"devices")
    return place


@pytest.mark.anyio
async def test_a_host_has_the_state_that_was_placed(host: HostRecord, saved: ResumeFiles) -> None:
    assert await resume.pending_state(host) is None
    resume.place_state(saved, host.files, CONDITIONS, None)
    assert await resume.pending_state(host) == CONDITIONS
    assert ResumeFiles(host.files.resume).memory.read_bytes() == b"memory"
    resume.drop_state(host.files)
    assert await resume.pending_state(host) is None
    assert saved.memory.exists(), "what was saved stays"


@pytest.mark.anyio
async def test_a_state_that_was_used_up_is_never_found_again(
    host: HostRecord, saved: ResumeFiles
) -> None:
    resume.place_state(saved, host.files, CONDITIONS, b"mac=1\n")
    assert resume._use_up(ResumeFiles(host.files.resume)) == b"mac=1\n"
    assert await resume.pending_state(host) is None
    assert host.files.resume.exists(), "the host may not know yet who it is"


def test_a_new_identity_is_told_in_lines(host: HostRecord, network: NetworkRecord) -> None:
    values = resume.identity_values(host, network, host_key="PRIVATE\n", authorized_key="ssh-x ME")
    told = dict(line.split("=", 1) for line in values.decode().splitlines())
    assert told["mac"] == host.mac
    assert bytes.fromhex(told["machine_id"]) == b"12345678123442348234123456789abc\n"
    assert bytes.fromhex(told["host_key"]) == b"PRIVATE\n"
    assert bytes.fromhex(told["authorized_key"]) == b"ssh-x ME\n"
    assert host.mac in bytes.fromhex(told["network"]).decode()
    assert len(told) == len(values.splitlines()), "a line is a value"


def test_a_host_of_a_template_is_told_where_it_is_as_well(
    host: HostRecord, network: NetworkRecord
) -> None:
    values = resume.new_host_values(host, network)
    told = dict(line.split("=", 1) for line in values.decode().splitlines())
    assert told["name"] == host.name
    assert told["address"] == "10.20.30.11/24"
    assert told["gateway"] == str(network.gateway_address)
    assert bytes.fromhex(told["uuid"]).decode() == f"{host.uuid}\n"


@pytest.mark.anyio
async def test_a_state_knows_which_template_it_is_of(host: HostRecord, saved: ResumeFiles) -> None:
    resume.place_state(saved, host.files, CONDITIONS, b"")
    assert await resume.template_of(host) is None
    ResumeFiles(host.files.resume).template.write_text("abc")
    assert await resume.template_of(host) == "abc"
    resume.place_state(saved, host.files, CONDITIONS, b"")
    assert await resume.template_of(host) is None, "what comes later is the host's own"


def test_the_script_is_one_that_perl_reads() -> None:
    script = (files("kutti_sdk.drivers.qemu") / "resume.pl").read_bytes()
    checked = subprocess.run(["perl", "-c"], input=script, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_host_that_goes_on_maps_its_memory_for_itself_and_waits(
    host: HostRecord, network: NetworkRecord
) -> None:
    command = host_command(
        _QEMU,
        host,
        host_outlets(host, network),
        accelerator="tcg",
        manifest=_MANIFEST,
        image_folder=Path("/images"),
        memory=resume.memory_of(host, CONDITIONS),
    )
    text = " ".join(command)
    assert "share=off" in text
    assert "pc-i440fx-7.2,memory-backend=pc.ram" in text
    assert "-S -incoming defer" in text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("differs", "what"),
    [
        ({"qemu": (99, 0, 0)}, "QEMU 99.0.0"),
        ({"accelerator": "kvm"}, "accelerator kvm"),
        ({"cpu": "another"}, "CPU model another"),
        ({"processor": "another"}, "processor another"),
    ],
)
async def test_what_was_saved_elsewhere_is_refused(
    differs: dict[str, object], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "tcg")
    await refuse_mismatch(CONDITIONS, _QEMU, None)
    with pytest.raises(CheckpointMismatchError, match=what) as refusal:
        await refuse_mismatch(replace(CONDITIONS, **differs), _QEMU, None)  # type: ignore[arg-type]
    assert refusal.value.hint


@pytest.mark.anyio
async def test_a_newer_qemu_takes_what_an_older_one_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUTTI_QEMU_ACCEL", "tcg")
    newer = Qemu(_QEMU.system, _QEMU.disk_tool, (10, 0, 0))
    await refuse_mismatch(CONDITIONS, newer, None)
