"""What is refused of the bundle of a checkpoint, before anything of it is used."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.ports import PortForward
from kutti_sdk.drivers.qemu.checkpoints.bundle_contents import (
    CLUSTER_NAME,
    RECORD_NAME,
    BundledFile,
    BundledImage,
    BundleRecord,
    expected_files,
    judge_bundle,
)
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord
from kutti_sdk.drivers.qemu.machine import CPU_MODELS
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.images.bundle.archive import END
from kutti_sdk.images.bundle.layout import text_member

_CONDITIONS = Conditions(
    qemu=(7, 2, 22), machine="pc-i440fx-7.2", accelerator="tcg", cpu=CPU_MODELS["tcg"], processor=""
)


@pytest.fixture
def record(host: HostRecord) -> BundleRecord:
    saved = replace(
        host,
        layers=("disk.qcow2",),
        disk="disk-0123abcd.qcow2",
        forwards=(PortForward(8080, 80, "127.0.0.1"),),
    )
    checkpoint = CheckpointRecord(
        name="one",
        networkname="lab",
        clustername="lab",
        cidr="10.20.30.0/24",
        note="",
        created=1.0,
        pause=0.1,
        conditions=_CONDITIONS,
        hosts=(saved,),
        memory=10,
        disk=10,
    )
    files = (
        BundledFile(host=saved.name, name=name, size=3, sha256="0" * 64)
        for name in expected_files(saved)
    )
    image = BundledImage(checksum=saved.image, k8s_version="none", size=3, sha256="0" * 64)
    return BundleRecord(checkpoint=checkpoint, files=tuple(files), images=(image,))


def _write(path: Path, record: Any, *, more: bytes = b"", cut: int = 0) -> Path:
    parts = [*text_member(RECORD_NAME, msgspec.json.encode(record))]
    parts += text_member(CLUSTER_NAME, b"{}")
    for member in (*record.files, *record.images):
        parts += text_member(member.member, b"abc")
    content = b"".join(part for part in parts if isinstance(part, bytes)) + more + END
    path.write_bytes(content[: len(content) - cut])
    return path


def test_a_bundle_tells_where_everything_is(tmp_path: Path, record: BundleRecord) -> None:
    path = _write(tmp_path / "bundle", record)
    contents = judge_bundle(path)
    raw = path.read_bytes()
    assert {raw[offset : offset + 3] for offset in contents.offsets.values()} == {b"abc"}
    assert contents.description == b"{}"
    (host,) = contents.record.checkpoint.hosts
    assert host.forwards == (), "ports belong to a machine"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../node1"},
        {"disk": "../../disk.qcow2"},
        {"disk": "memory.qcow2"},
        {"disk": "disk.qcow2"},
        {"uuid": "12345678-1234-4234-8234-123456789abc,sandbox=off"},
        {"mac": "52:54:00:00:00:01,romfile=/etc/passwd"},
        {"address": "192.168.1.1"},
        {"ssh_user": "../../root"},
        {"host_key": "ssh-ed25519 AAAA\nssh-ed25519 BBBB"},
        {"image": "/etc"},
        {"k8s_version": "../1"},
    ],
)
def test_no_word_of_a_host_leads_elsewhere(
    tmp_path: Path, record: BundleRecord, change: dict[str, str]
) -> None:
    (host,) = record.checkpoint.hosts
    changed = copy(host)
    for name, value in change.items():
        object.__setattr__(changed, name, value)  # a record refuses some of them itself
    files = zip(record.files, expected_files(changed), strict=True)
    bad = replace(
        record,
        checkpoint=replace(record.checkpoint, hosts=(changed,)),
        files=tuple(replace(file, host=changed.name, name=name) for file, name in files),
        images=(
            replace(record.images[0], checksum=changed.image, k8s_version=changed.k8s_version),
        ),
    )
    with pytest.raises(ImageFormatError):
        judge_bundle(_write(tmp_path / "bundle", bad))


def test_no_word_of_a_checkpoint_leads_elsewhere(tmp_path: Path, record: BundleRecord) -> None:
    conditions = replace(_CONDITIONS, machine="pc-i440fx-7.2,kernel=/etc/passwd")
    for change in ({"name": "../one"}, {"cidr": "all"}, {"conditions": conditions}, {"hosts": ()}):
        checkpoint = replace(record.checkpoint, **change)  # type: ignore[arg-type]
        with pytest.raises(ImageFormatError):
            judge_bundle(_write(tmp_path / "bundle", replace(record, checkpoint=checkpoint)))


def test_what_is_cut_off_or_has_more_in_it_is_refused(tmp_path: Path, record: BundleRecord) -> None:
    path = tmp_path / "bundle"
    for bad in (
        {"cut": 600},
        {"cut": 2000},
        {"more": b"".join(it for it in text_member("more", b"abc") if isinstance(it, bytes))},
    ):
        with pytest.raises(ImageFormatError):
            judge_bundle(_write(path, record, **bad))  # type: ignore[arg-type]
    fewer = replace(record, files=record.files[:-1])
    with pytest.raises(ImageFormatError, match="other files"):
        judge_bundle(_write(path, fewer))
    with pytest.raises(ImageFormatError, match="format"):
        judge_bundle(_write(path, replace(record, format=2)))
    longer = replace(record, files=(replace(record.files[0], size=4), *record.files[1:]))
    with pytest.raises(ImageFormatError, match="are promised"):
        judge_bundle(_write(path, longer))
    with pytest.raises(ImageFormatError, match="no file"):
        judge_bundle(tmp_path / "missing")
