from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_samples import image_file

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.images.manifest import (
    DirectBoot,
    ImageManifest,
    decode_manifest,
    encode_manifest,
    image_checksum,
)

MANIFEST = ImageManifest(
    k8s_version="1.34.2",
    architecture="x86_64",
    os="Debian bookworm",
    created="2025-01-01T00:00:00+00:00",
    disk=image_file("disk.qcow2", b"disk"),
    boot=DirectBoot(
        kernel=image_file("vmlinux", b"kernel"),
        initrd=image_file("initrd.img", b"initrd"),
        cmdline="root=/dev/vda rw",
    ),
    credentials=True,
    packages={"zlib1g": "1", "containerd": "2"},
)


def changed(**changes: object) -> bytes:
    return json.dumps(json.loads(encode_manifest(MANIFEST)) | changes).encode()


def test_a_manifest_survives_writing_and_reading() -> None:
    assert decode_manifest(encode_manifest(MANIFEST)) == MANIFEST


def test_the_canonical_form_does_not_depend_on_the_order_of_packages() -> None:
    backwards = dict(reversed(MANIFEST.packages.items()))
    other = decode_manifest(changed(packages=backwards))
    assert encode_manifest(other) == encode_manifest(MANIFEST)


def test_unknown_keys_are_ignored_but_are_part_of_the_checksum() -> None:
    raw = changed(colour="green")
    assert decode_manifest(raw) == MANIFEST
    assert image_checksum(raw) == hashlib.sha256(raw).hexdigest()


def test_an_image_that_came_as_one_file_is_known_by_that_files_checksum() -> None:
    assert image_checksum(changed(source_sha256="a" * 64)) == "a" * 64


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"k8s_version": "latest"},
        {"k8s_version": 1.34},
        {"disk": {"name": "../disk.qcow2", "size": 1, "sha256": "a" * 64}},
        {"disk": {"name": "/etc/passwd", "size": 1, "sha256": "a" * 64}},
        {"disk": {"name": ".hidden", "size": 1, "sha256": "a" * 64}},
        {"disk": {"name": "disk.qcow2", "size": -1, "sha256": "a" * 64}},
        {"disk": {"name": "disk.qcow2", "size": 1, "sha256": "A" * 64}},
        {"disk": {"name": "disk.qcow2", "size": 1, "sha256": "a" * 64 + "\n"}},
        {"disk": {"name": "vmlinux", "size": 1, "sha256": "a" * 64}},
        {"disk": {"name": "image.json", "size": 1, "sha256": "a" * 64}},
        {"packages": {"containerd": 1}},
        {"source_sha256": "../../somewhere"},
        {"boot": "firmware"},
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ImageFormatError) as refused:
        decode_manifest(changed(**changes))
    assert refused.value.hint


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(raw: bytes) -> None:
    with pytest.raises(ImageFormatError):
        decode_manifest(raw)


@given(st.data())
def test_a_manifest_with_a_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(encode_manifest(MANIFEST))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_manifest(bytes(raw))
    except ImageFormatError:
        return
