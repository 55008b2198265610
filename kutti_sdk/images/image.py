"""Images as drivers hand them out: listed, local, or both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from pathlib import Path

from kutti_sdk.core.errors import ImageInUseError, ImageNotFoundError, KuttiError
from kutti_sdk.core.image import VMImage
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.core.versions import K8sVersion, select_version
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry
from kutti_sdk.images.download import download
from kutti_sdk.images.file_import import import_image, keep_file
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.store import LocalImage, local_images, remove_local
from kutti_sdk.runtime.tasks import interruptible

Users = Callable[[str], Awaitable[list[str]]]
"""Tells the names of the hosts that use the image with a checksum."""


class StoredImage(VMImage):
    """An image of an image list, of the local store, or of both.

    Args:
        k8s_version: Its Kubernetes version.
        checksum: Its checksum.
        entry: What the image list says of it; None when it is not listed.
        users: Who uses it.
    """

    def __init__(
        self, k8s_version: str, checksum: str, entry: CatalogueEntry | None, users: Users
    ) -> None:
        self._k8s_version = k8s_version
        self._checksum = checksum
        self._entry = entry
        self._users = users

    @property
    def k8s_version(self) -> str:
        """The Kubernetes version inside."""
        return self._k8s_version

    @property
    def checksum(self) -> str:
        """The checksum that it is known by."""
        return self._checksum

    @property
    def deprecated(self) -> bool:
        """Whether the image list says that it is not for new hosts any more."""
        return self._entry is not None and self._entry.deprecated

    def __repr__(self) -> str:
        return f"<StoredImage {self.k8s_version} {self.checksum[:12]}>"

    async def local(self) -> LocalImage | None:
        """Find it on this machine.

        Returns:
            The local image, or None.
        """
        return _last_kept(await local_images(), self.k8s_version, self.checksum)

    async def status(self) -> ImageStatus:
        """Tell whether it is on this machine."""
        found = await self.local()
        return ImageStatus.NOT_DOWNLOADED if found is None else ImageStatus.DOWNLOADED

    async def packages(self) -> Mapping[str, str]:
        """Tell which packages are inside, where its manifest does."""
        found = await self.local()
        return {} if found is None else found.manifest.packages

    @interruptible
    async def fetch(self) -> None:
        """Download it, unless it is here."""
        if await self.local() is not None:
            return
        if self._entry is None:
            raise ImageNotFoundError(
                f"image {self.k8s_version!r} is in no image list",
                hint="Build it or import it again.",
                image=self.k8s_version,
            )
        async with incoming() as place:
            file = place / "download"
            await download(self._entry, file)
            await keep_file(file, self.k8s_version, sha256=self._entry.checksum)

    @interruptible
    async def from_file(self, path: str | PathLike[str]) -> None:
        """Take it from a local file or folder."""
        expected = self._entry.checksum if self._entry is not None else None
        try:
            taken = await import_image(Path(path), self.k8s_version, checksum=expected)
        except KuttiError as error:
            error.image = self.k8s_version
            raise
        self._checksum = taken.checksum

    async def purge_local(self) -> None:
        """Remove it from this machine."""
        users = await self._users(self.checksum)
        if users:
            raise ImageInUseError(
                f"image {self.k8s_version!r} is used by {', '.join(users)}",
                hint="Delete these hosts first.",
                image=self.k8s_version,
            )
        found = await self.local()
        if found is not None:
            await remove_local(found)


async def stored_images(catalogue: Catalogue, users: Users) -> list[StoredImage]:
    """List every image, one for each Kubernetes version.

    Where the store has several of one version, the one that the image list names
    counts, else the one that was built, fetched or imported last.

    Args:
        catalogue: The image list.
        users: Who uses an image.

    Returns:
        The images, newest Kubernetes version first.
    """
    local = await local_images()
    versions = {*catalogue.entries, *(image.manifest.k8s_version for image in local)}
    images = []
    for version in sorted(versions, key=K8sVersion.parse, reverse=True):
        entry = catalogue.entries.get(version)
        found = _last_kept(local, version, entry.checksum if entry else None)
        checksum = entry.checksum if entry else found.checksum if found else ""
        images.append(StoredImage(version, checksum, entry, users))
    return images


async def find_image(k8sversion: str, catalogue: Catalogue, users: Users) -> StoredImage:
    """Find the image that somebody means.

    Args:
        k8sversion: A version; without a patch number it stands for the newest patch.
        catalogue: The image list.
        users: Who uses an image.

    Returns:
        The image; of several patches one that is on this machine goes first.

    Raises:
        InvalidVersionError: When the version is not valid.
        ImageNotFoundError: When there is none; names those there are.
    """
    images = {image.k8s_version: image for image in await stored_images(catalogue, users)}
    here = [image.manifest.k8s_version for image in await local_images()]
    chosen = select_version(k8sversion, here) or select_version(k8sversion, images)
    if chosen is None:
        raise ImageNotFoundError(
            f"there is no image with Kubernetes {k8sversion!r}",
            hint=f"Images there are: {', '.join(images) or 'none'}. Build or import one, "
            "or fetch the image list.",
            image=k8sversion,
        )
    return images[chosen]


def _last_kept(
    images: list[LocalImage], k8s_version: str, checksum: str | None
) -> LocalImage | None:
    for image in images:
        if image.manifest.k8s_version == k8s_version and checksum in (None, "", image.checksum):
            return image
    return None
