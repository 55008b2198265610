"""The images that are offered, and the checksums of their bundles."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from kutti_sdk.core.errors import ImageError
from kutti_sdk.core.events import report
from kutti_sdk.images.bundle.layout import Bundle, identity, lay_out
from kutti_sdk.images.bundle.reading import read_through
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.image import StoredImage
from kutti_sdk.images.list_format import encode_list

Images = Callable[[], Awaitable[list[StoredImage]]]
"""Tells the images that there are, one for each Kubernetes version."""

BUNDLES = "/images/"
"""What the paths of bundles begin with."""

SUFFIX = ".kutti"
"""What the names of bundles end with."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that is offered.

    Attributes:
        bundle: Its bundle.
        sha256: Checksum of the bundle.
        deprecated: Whether it is not for new hosts any more.
    """

    bundle: Bundle
    sha256: str
    deprecated: bool


class Offers:
    """What a server offers: every image on this machine whose checksum is taken.

    Args:
        images: Tells the images.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._by_identity: dict[str, Offer] = {}
        self._by_checksum: dict[str, Offer] = {}
        self._refused: set[str] = set()
        self._news = anyio.Event()

    async def prepare(self) -> None:
        """Take the checksums of all bundles that have none yet; reads them once."""
        for key, bundle, deprecated in await self._present():
            if key in self._by_identity or key in self._refused:
                continue
            try:
                offer = Offer(bundle, await _checksum_of(bundle), deprecated)
            except ImageError as error:  # damaged, or removed while it was read
                self._refused.add(key)
                report("serve", f"not offered: {error.message}", image=error.image)
                continue
            self._by_identity[key] = self._by_checksum[offer.sha256] = offer

    async def keep_up(self) -> None:
        """Take the checksums of images that come later, until it is cancelled."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            await self.prepare()

    async def image_list(self, url: str) -> bytes:
        """Write the image list.

        An image that came just now is not in it before the checksum of its bundle is
        known, a moment later.

        Args:
            url: By which the client reaches this server, without a slash at the end.

        Returns:
            The JSON text.
        """
        entries = []
        for key, bundle, _ in await self._present():
            offer = self._by_identity.get(key)
            if offer is not None:
                entries.append(_entry(offer, url))
            elif key not in self._refused:
                self._news.set()
                report("serve", "is new here", image=bundle.image.k8s_version)
        return encode_list(entries)

    def find(self, sha256: str) -> Offer | None:
        """Find what is offered under a checksum.

        Args:
            sha256: Checksum of a bundle.

        Returns:
            The offer, be the image still here or not; None when there never was one.
        """
        return self._by_checksum.get(sha256)

    async def _present(self) -> list[tuple[str, Bundle, bool]]:
        present = []
        for image in await self._images():
            local = await image.local()
            if local is None:
                continue
            try:
                bundle = await lay_out(local, image.entry)
            except ImageError:  # removed since we looked
                continue
            present.append((identity(bundle), bundle, image.deprecated))
        return present


def _entry(offer: Offer, url: str) -> CatalogueEntry:
    image = offer.bundle.image
    return CatalogueEntry(
        image.k8s_version,
        checksum=offer.sha256,
        source_url=f"{url}{BUNDLES}{offer.sha256}{SUFFIX}",
        deprecated=offer.deprecated,
        image_checksum=image.checksum,
    )


async def _checksum_of(bundle: Bundle) -> str:
    digest = hashlib.sha256()

    def advance(done: int) -> None:
        report(
            "serve",
            "taking the checksum",
            image=bundle.image.k8s_version,
            fraction=done / bundle.size,
            bytes_done=done,
            bytes_total=bundle.size,
        )

    await read_through(bundle, digest.update, advance)
    return digest.hexdigest()
