"""A file from elsewhere becomes an image."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.events import report
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.images.builder.recipe import ARCHITECTURE
from kutti_sdk.images.bundle.contents import is_bundle
from kutti_sdk.images.bundle.unpacking import import_bundle, keep_bundle
from kutti_sdk.images.checksums import checksum_of, mismatch
from kutti_sdk.images.folder_import import import_folder
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    ImageManifest,
    describe_file,
    encode_manifest,
)
from kutti_sdk.images.qcow2 import check_disk, read_header
from kutti_sdk.images.store import LocalImage, keep

_DISK = "disk.qcow2"
_BLOCK = 4 * 1024 * 1024


async def import_image(
    source: Path, k8s_version: str, *, checksum: str | None = None
) -> LocalImage:
    """Take an image from a file or folder into the store.

    Args:
        source: A qcow2 disk that boots by firmware, a bundle, or an image folder.
        k8s_version: The Kubernetes version that it has, or ``none``.
        checksum: The checksum that it must have; None to take it as it is.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is damaged, of an unknown kind or of another version.
        UnsafeImageError: When it names files outside of itself.
        ChecksumMismatchError: When it has another checksum.
    """
    version = K8sVersion.parse(k8s_version).text
    if await anyio.Path(source).is_dir():
        return await import_folder(source, version, checksum=checksum)
    if not await anyio.Path(source).is_file():
        raise ImageFormatError(f"there is no file or folder {source}", image=version)
    if await anyio.to_thread.run_sync(is_bundle, source):
        return await import_bundle(source, version, checksum=checksum)
    await anyio.to_thread.run_sync(read_header, source)
    async with incoming() as place:
        disk = place / _DISK
        await _copy(source, disk, version)
        report("import", "taking the checksum", image=version)
        found = await checksum_of(disk)
        if checksum not in (None, found):
            raise mismatch(source, checksum, found)
        return await keep_file(disk, version, sha256=found)


async def keep_file(file: Path, k8s_version: str, *, sha256: str) -> LocalImage:
    """Make an image of a file in an incoming folder, and keep it.

    Args:
        file: The file, in a folder of `incoming`; it is moved.
        k8s_version: The Kubernetes version that it has.
        sha256: Its checksum, taken over the very bytes of it.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is damaged or of an unknown kind.
        UnsafeImageError: When it names files outside of itself.
    """
    if await anyio.to_thread.run_sync(is_bundle, file):
        return await keep_bundle(file, k8s_version)
    await check_disk(file)
    folder = file.with_name("image")
    await anyio.Path(folder).mkdir(mode=0o755)
    await anyio.Path(file).rename(folder / _DISK)
    manifest = ImageManifest(
        k8s_version=k8s_version,
        architecture=ARCHITECTURE,
        os="unknown",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        disk=await anyio.to_thread.run_sync(describe_file, folder / _DISK, sha256),
        credentials=True,
        source_sha256=sha256,
    )
    await anyio.Path(folder / MANIFEST_NAME).write_bytes(encode_manifest(manifest))
    return await keep(folder)


async def _copy(source: Path, destination: Path, k8s_version: str) -> None:
    total = (await anyio.Path(source).stat()).st_size
    done = 0
    async with (
        await anyio.open_file(source, "rb") as reader,
        await anyio.open_file(destination, "xb") as writer,
    ):
        while block := await reader.read(_BLOCK):
            await writer.write(block)
            done += len(block)
            report(
                "import",
                f"copying {source.name}",
                image=k8s_version,
                fraction=done / total,
                bytes_done=done,
                bytes_total=total,
            )
