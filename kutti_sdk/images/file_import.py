"""A file from elsewhere becomes an image, whatever kind of file it is."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.events import report
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.recipe import ARCHITECTURE
from kutti_sdk.images.bundle.unpacking import import_bundle, keep_bundle
from kutti_sdk.images.checksums import mismatch
from kutti_sdk.images.conversion import convert
from kutti_sdk.images.copying import copy_and_hash
from kutti_sdk.images.digests import Span, digests_of
from kutti_sdk.images.file_kind import FileKind, kind_of
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.foreign_disk import ForeignDisk, open_foreign_disk
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    Firmware,
    ImageManifest,
    describe_file,
    encode_manifest,
)
from kutti_sdk.images.qcow2 import check_disk, read_header
from kutti_sdk.images.store import LocalImage, keep
from kutti_sdk.runtime.tasks import task_group

_DISK = "disk.qcow2"


async def import_image(
    source: Path, k8s_version: str, *, checksum: str | None = None
) -> LocalImage:
    """Take an image from a file or folder into the store.

    Args:
        source: A disk that boots by firmware (qcow2, VMDK, VDI or raw), an .ova, a
            bundle, or an image folder. It is read only.
        k8s_version: The Kubernetes version that it has, or ``none``.
        checksum: The checksum that it must have; None to take it as it is.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is damaged, of an unknown kind or of another version.
        UnsafeImageError: When it names files outside of itself.
        ChecksumMismatchError: When it has another checksum, or a part of it has another
            than it says itself.
        NotEnoughDiskError: When it does not fit.
    """
    version = K8sVersion.parse(k8s_version).text
    if await anyio.Path(source).is_dir():
        return await import_folder(source, version, checksum=checksum)
    if not await anyio.Path(source).is_file():
        raise ImageFormatError(f"there is no file or folder {source}", image=version)
    kind = await anyio.to_thread.run_sync(kind_of, source)
    if kind is FileKind.BUNDLE:
        return await import_bundle(source, version, checksum=checksum)
    async with incoming() as place:
        if kind is not FileKind.QCOW2:
            return await _convert(source, place, version, sha256=None, expected=checksum)
        await anyio.to_thread.run_sync(read_header, source)  # before it is copied for nothing
        file = place / "copy"
        found = await copy_and_hash(source, file, k8s_version=version)
        if checksum not in (None, found):
            raise mismatch(source, checksum, found)
        return await _keep_qcow2(file, version, sha256=found)


async def keep_file(
    file: Path, k8s_version: str, *, sha256: str, image_checksum: str
) -> LocalImage:
    """Make an image of a file in an incoming folder, and keep it.

    Args:
        file: The file, in a folder of `incoming`; it is moved, or removed when it was
            converted.
        k8s_version: The Kubernetes version that it has.
        sha256: Its checksum, taken over the very bytes of it.
        image_checksum: What the image must be known by; another one for a bundle only.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is damaged or of an unknown kind.
        UnsafeImageError: When it names files outside of itself.
        ChecksumMismatchError: When a part of it has another checksum than it says itself,
            or the image is another one.
        NotEnoughDiskError: When it does not fit.
    """
    kind = await anyio.to_thread.run_sync(kind_of, file)
    if kind is FileKind.BUNDLE:
        return await keep_bundle(file, k8s_version, checksum=image_checksum)
    if image_checksum != sha256:
        raise mismatch(file, image_checksum, sha256)
    if kind is FileKind.QCOW2:
        return await _keep_qcow2(file, k8s_version, sha256=sha256)
    image = await _convert(file, file.parent, k8s_version, sha256=sha256, expected=None)
    await anyio.Path(file).unlink()
    return image


async def _keep_qcow2(file: Path, k8s_version: str, *, sha256: str) -> LocalImage:
    await check_disk(file)
    folder = await _image_folder(file.parent)
    await anyio.Path(file).rename(folder / _DISK)
    return await _keep(folder, k8s_version, disk_sha256=sha256, source_sha256=sha256)


async def _convert(
    file: Path, place: Path, k8s_version: str, *, sha256: str | None, expected: str | None
) -> LocalImage:
    """Convert the disk in a file where it lies, and verify the file meanwhile."""
    source = await anyio.to_thread.run_sync(open_foreign_disk, file)
    report("import", source.description, image=k8s_version)
    before = await _state(file)
    folder = await _image_folder(place)
    disk = folder / _DISK
    async with task_group() as group:
        group.start_soon(partial(convert, source.disk, disk, k8s_version=k8s_version))
        found = await _verify_parts(file, source, sha256)
        if expected not in (None, found):
            raise mismatch(file, expected, found)
    if await _state(file) != before:
        raise ImageFormatError(f"{file.name} was changed while it was read", image=k8s_version)
    report("import", "taking the checksum of the disk", image=k8s_version)
    size = (await anyio.Path(disk).stat()).st_size
    (disk_sha256,) = await digests_of(disk, [Span("sha256", 0, size)])
    return await _keep(
        folder,
        k8s_version,
        disk_sha256=disk_sha256,
        source_sha256=found,
        os=source.os,
        firmware=source.firmware,
    )


async def _verify_parts(file: Path, source: ForeignDisk, sha256: str | None) -> str:
    """Verify what the file promises of its parts; give its own checksum, known or not."""
    whole = [] if sha256 else [Span("sha256", 0, (await anyio.Path(file).stat()).st_size)]
    spans = [*whole, *(promised.span for promised in source.promised)]
    digests = await digests_of(file, spans)
    for promised, found in zip(source.promised, digests[len(whole) :], strict=True):
        promised.verify(found)
    return sha256 or digests[0]


async def _state(file: Path) -> tuple[int, int, int]:
    """What changes when somebody writes to a file or replaces it."""
    status = await anyio.Path(file).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


async def _image_folder(place: Path) -> Path:
    folder = place / "image"
    await anyio.Path(folder).mkdir(mode=0o755)
    return folder


async def _keep(
    folder: Path,
    k8s_version: str,
    *,
    disk_sha256: str,
    source_sha256: str,
    os: str = "unknown",
    firmware: Firmware = "bios",
) -> LocalImage:
    manifest = ImageManifest(
        k8s_version=k8s_version,
        architecture=ARCHITECTURE,
        os=os,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        disk=await anyio.to_thread.run_sync(describe_file, folder / _DISK, disk_sha256),
        firmware=firmware,
        credentials=None,  # nobody knows before it boots
        source_sha256=source_sha256,
    )
    await anyio.Path(folder / MANIFEST_NAME).write_bytes(encode_manifest(manifest))
    return await keep(folder)
