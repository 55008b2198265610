"""Image folders from elsewhere, copied and verified."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.events import report
from kutti_sdk.images.checksums import mismatch, verify
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.manifest import MANIFEST_NAME, decode_manifest, image_checksum
from kutti_sdk.images.store import LocalImage, keep


async def import_folder(
    source: Path, k8s_version: str, *, checksum: str | None = None
) -> LocalImage:
    """Copy an image folder from elsewhere into the store, and verify every byte.

    Args:
        source: The image folder.
        k8s_version: The Kubernetes version that it must have.
        checksum: The checksum that it must have; None to take it as it is.

    Returns:
        The image.

    Raises:
        ImageFormatError: When it is not complete or of another version.
        ChecksumMismatchError: When it has another checksum, or a file is not what
            its manifest says.
    """
    raw = await _read_manifest(source)
    manifest, found = decode_manifest(raw), image_checksum(raw)
    if manifest.k8s_version != k8s_version:
        raise ImageFormatError(
            f"the image in {source} has version {manifest.k8s_version}, not {k8s_version}"
        )
    if checksum not in (None, found):
        raise mismatch(source, checksum, found)
    async with incoming() as place:
        copy = place / "image"
        await anyio.Path(copy).mkdir(mode=0o755)
        names = [MANIFEST_NAME, *(file.name for file in manifest.files)]
        for number, name in enumerate(names):
            report("import", f"copying {name}", fraction=number / len(names))
            await anyio.to_thread.run_sync(_copy, source / name, copy / name)
        for file in manifest.files:
            report("import", f"verifying {file.name}")
            await verify(copy / file.name, file.sha256)
        return await keep(copy)


async def _read_manifest(folder: Path) -> bytes:
    try:
        return await anyio.Path(folder / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise ImageFormatError(
            f"{folder} is not an image folder: {error.strerror}: {MANIFEST_NAME}",
            hint=f"An image folder has a file {MANIFEST_NAME}.",
        ) from error


def _copy(source: Path, destination: Path) -> None:
    if source.is_symlink() or not source.is_file():
        raise ImageFormatError(f"{source} is missing, or not a plain file")
    shutil.copyfile(source, destination)
