"""Images as drivers hand them out: listed, local, or both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from kutti_sdk.core.errors import (
    ImageError,
    ImageNotDownloadedError,
    ImageNotFoundError,
    KuttiError,
)
from kutti_sdk.core.image import ImageDetails, VMImage
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.core.versions import K8sVersion, select_version
from kutti_sdk.images.bundle.export import export_bundle
from kutti_sdk.images.catalogue import Catalogue, CatalogueEntry
from kutti_sdk.images.download import (
    bytes_here,
    download,
    forget,
    remove_partial,
    taking_turns,
)
from kutti_sdk.images.file_import import import_image, keep_file
from kutti_sdk.images.incoming import incoming, sweep
from kutti_sdk.images.store import (
    LocalImage,
    Users,
    kept_at,
    local_images,
    remove_local,
)
from kutti_sdk.images.upkeep import disk_usage
from kutti_sdk.runtime.http import DEFAULT_HTTP_SETTINGS, HttpSettings
from kutti_sdk.runtime.tasks import interruptible


class StoredImage(VMImage):
    """An image of an image list, of the local store, or of both.

    Args:
        k8s_version: Its Kubernetes version.
        checksum: Its checksum.
        entry: What the image list says of it; None when it is not listed.
        users: Who uses it.
        http: How servers are reached.
    """

    def __init__(
        self,
        k8s_version: str,
        checksum: str,
        entry: CatalogueEntry | None,
        users: Users,
        http: HttpSettings = DEFAULT_HTTP_SETTINGS,
    ) -> None:
        self._k8s_version = k8s_version
        self._checksum = checksum
        self._entry = entry
        self._users = users
        self._http = http

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

    @property
    def entry(self) -> CatalogueEntry | None:
        """What the image list says of it; None when it is not listed."""
        return self._entry

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.k8s_version} {self.checksum[:12]}>"

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
        """Download it, unless it is here.

        What came of an earlier download is gone on with. When somebody else is
        downloading it, in this process or another, that one's progress is told.
        """
        if await self.local() is not None:
            return
        if self._entry is None:
            raise ImageNotFoundError(
                f"image {self.k8s_version!r} is in no image list",
                hint="Build it or import it again.",
                image=self.k8s_version,
            )
        entry = self._entry
        async with taking_turns(entry):
            if await self.local() is not None:  # another one fetched it meanwhile
                return
            async with incoming() as place:
                file = place / "download"
                await download(entry, file, self._http)
                await self._keep(file, entry)
            await forget(entry.checksum)

    async def _keep(self, file: Path, entry: CatalogueEntry) -> None:
        try:
            await keep_file(
                file,
                self.k8s_version,
                sha256=entry.checksum,
                image_checksum=entry.image_checksum,
            )
        except ImageError:  # it is what was promised, and of no use
            await forget(entry.checksum)
            raise

    @interruptible
    async def from_file(self, path: str | PathLike[str]) -> None:
        """Take it from a local file or folder."""
        expected = self._entry.image_checksum if self._entry is not None else None
        try:
            taken = await import_image(Path(path), self.k8s_version, checksum=expected)
        except KuttiError as error:
            error.image = self.k8s_version
            raise
        self._checksum = taken.checksum

    @interruptible
    async def export(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Write it to a bundle."""
        found = await self.local()
        if found is None:
            raise ImageNotDownloadedError(
                f"image {self.k8s_version!r} is not on this machine",
                hint="Call fetch() on it first.",
                image=self.k8s_version,
            )
        await export_bundle(found, self.entry, Path(path), replace=replace)

    async def details(self) -> ImageDetails:
        """Tell its size, its users, and when it was kept."""
        users = tuple(await self._users(self.checksum))
        found = await self.local()
        if found is None:
            partial = await bytes_here(self._entry.checksum) if self._entry else None
            return ImageDetails(used_by=users, partial=partial or 0)
        return ImageDetails(
            size=await disk_usage(found.folder), used_by=users, kept=await kept_at(found)
        )

    async def purge_local(self) -> None:
        """Remove it from this machine, and what interrupted work left; older images stay."""
        found = await self.local()
        if found is not None:
            await remove_local(found, self._users)
        if self._entry is not None:
            await remove_partial(self._entry.checksum)
        await sweep()


async def stored_images(
    catalogue: Catalogue, users: Users, http: HttpSettings = DEFAULT_HTTP_SETTINGS
) -> list[StoredImage]:
    """List every image, one for each Kubernetes version.

    Where the store has several of one version, the one that the image list names
    counts, else the one that was built, fetched or imported last.

    Args:
        catalogue: The image list.
        users: Who uses an image.
        http: How servers are reached.

    Returns:
        The images, newest Kubernetes version first.
    """
    local = await local_images()
    versions = {*catalogue.entries, *(image.manifest.k8s_version for image in local)}
    images = []
    for version in sorted(versions, key=K8sVersion.parse, reverse=True):
        entry = catalogue.entries.get(version)
        found = _last_kept(local, version, entry.image_checksum if entry else None)
        checksum = entry.image_checksum if entry else found.checksum if found else ""
        images.append(StoredImage(version, checksum, entry, users, http))
    return images


async def find_image(
    k8sversion: str,
    catalogue: Catalogue,
    users: Users,
    http: HttpSettings = DEFAULT_HTTP_SETTINGS,
) -> StoredImage:
    """Find the image that somebody means.

    Args:
        k8sversion: A version; without a patch number it stands for the newest patch.
        catalogue: The image list.
        users: Who uses an image.
        http: How servers are reached.

    Returns:
        The image; of several patches one that is on this machine goes first.

    Raises:
        InvalidVersionError: When the version is not valid.
        ImageNotFoundError: When there is none; names those there are.
    """
    images = {image.k8s_version: image for image in await stored_images(catalogue, users, http)}
    here = [image.manifest.k8s_version for image in await local_images()]
    chosen = select_version(k8sversion, here) or select_version(k8sversion, images)
    if chosen is None:
        raise ImageNotFoundError(
            f"there is no image with Kubernetes {k8sversion!r}",
            hint=f"{_known(images)}. Build or import one, or fetch the image list.",
            image=k8sversion,
        )
    return images[chosen]


def _known(images: Iterable[str]) -> str:
    versions = ", ".join(images)
    return f"Images there are: {versions}" if versions else "No image is known yet"


def _last_kept(
    images: list[LocalImage], k8s_version: str, checksum: str | None
) -> LocalImage | None:
    for image in images:
        if image.manifest.k8s_version == k8s_version and checksum in (None, "", image.checksum):
            return image
    return None
