"""Writing image lists in kutti's schema; `catalogue` reads them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kutti_sdk.core.status import ImageStatus
from kutti_sdk.images.catalogue import CatalogueEntry

CONTENT_CHECKSUM = "ImageContentChecksum"
"""Key of the checksum that the image is known by, where its file is a bundle."""


def encode_list(entries: Iterable[CatalogueEntry]) -> bytes:
    """Write an image list; the same entries always give the same bytes.

    Args:
        entries: What is in it.

    Returns:
        The JSON text.
    """
    listed = {
        entry.k8s_version: {
            "ImageK8sVersion": entry.k8s_version,
            "ImageChecksum": entry.checksum,
            CONTENT_CHECKSUM: entry.image_checksum,
            "ImageSourceURL": entry.source_url,
            "ImageStatus": ImageStatus.NOT_DOWNLOADED.value,
            "ImageDeprecated": entry.deprecated,
        }
        for entry in entries
    }
    return msgspec.json.format(msgspec.json.encode(listed, order="sorted"), indent=2) + b"\n"
