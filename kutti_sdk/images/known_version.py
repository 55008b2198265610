"""What a file or folder says itself about the version of the image in it."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from kutti_sdk.images.bundle.contents import read_manifest
from kutti_sdk.images.file_kind import FileKind, kind_of
from kutti_sdk.images.manifest import MANIFEST_NAME, decode_manifest


async def known_version(source: Path) -> str | None:
    """Tell the Kubernetes version of an image that knows it.

    Args:
        source: A file or folder that may hold an image.

    Returns:
        The version that a bundle or an image folder names; None for everything else.

    Raises:
        ImageFormatError: When it is a damaged bundle or image folder, or no image at all.
    """
    return await anyio.to_thread.run_sync(_known_version, source)


def _known_version(source: Path) -> str | None:
    if (source / MANIFEST_NAME).is_file():
        return decode_manifest((source / MANIFEST_NAME).read_bytes()).k8s_version
    if source.is_file() and kind_of(source) is FileKind.BUNDLE:
        return read_manifest(source).k8s_version
    return None
