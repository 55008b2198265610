"""The images of a simulated world: a list that is published, and what of it is here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING

import anyio

from kutti_sdk.core.errors import (
    ChecksumMismatchError,
    ConflictError,
    ImageFormatError,
    ImageInUseError,
    ImageNotDownloadedError,
    ImageNotFoundError,
    InvalidInputError,
    NotEnoughDiskError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.image import ImageDetails, VMImage
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion, select_version

if TYPE_CHECKING:
    from kutti_sdk.drivers.simulated.world import World

_PIECES = 10  # of a download; one progress event for each


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """An image on the image list of a simulated world.

    Attributes:
        k8s_version: Kubernetes version inside, or ``none``.
        downloaded: Whether it is on this machine from the start.
        deprecated: Whether it is not for new hosts any more.
        size: Bytes to download.
    """

    k8s_version: str
    downloaded: bool = False
    deprecated: bool = False
    size: int = 300 * MiB

    @property
    def content(self) -> bytes:
        """What a file must hold for `VMImage.from_file` to take it as this image."""
        return f"simulated image of Kubernetes {self.k8s_version}\n".encode()

    @property
    def checksum(self) -> str:
        """SHA-256 of the content in lower case hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


DEFAULT_IMAGES = (
    PublishedImage(NO_KUBERNETES, downloaded=True),
    PublishedImage("1.30.0", downloaded=True, deprecated=True),
    PublishedImage("1.33.1", downloaded=True),
    PublishedImage("1.34.2", downloaded=True),
    PublishedImage("1.35.0"),
)
"""The images of a simulated world unless others are given."""


class ImageShelf:
    """The images that are known, and which of them are on this machine.

    Args:
        drivername: Name of the driver, for errors.
        images: What is published and known from the start.
    """

    def __init__(self, drivername: str, images: Iterable[PublishedImage]) -> None:
        self._drivername = drivername
        self._published: tuple[PublishedImage, ...] = ()
        self._known: dict[str, PublishedImage] = {}
        self._bytes_here: dict[str, int] = {}
        self.publish(images)
        self.refresh()

    def publish(self, images: Iterable[PublishedImage]) -> None:
        """Replace the list that is published; nobody knows before it is fetched.

        Args:
            images: The new list.

        Raises:
            InvalidVersionError: When one has no valid version.
        """
        images = tuple(images)
        for image in images:
            K8sVersion.parse(image.k8s_version)
        self._published = images

    def refresh(self) -> None:
        """Take over the published list; images that are here stay known."""
        here = {version: image for version, image in self._known.items() if self.is_here(version)}
        self._known = here | {image.k8s_version: image for image in self._published}
        for image in self._published:
            if image.downloaded:
                self._bytes_here.setdefault(image.k8s_version, image.size)

    def versions(self) -> list[str]:
        """List the versions of all known images.

        Returns:
            The versions, newest first.
        """
        return sorted(self._known, key=K8sVersion.parse, reverse=True)

    def find(self, k8sversion: str) -> PublishedImage:
        """Find the image that somebody means.

        Args:
            k8sversion: A version, with or without patch number.

        Returns:
            The image; of several patches one that is on this machine goes first.

        Raises:
            InvalidVersionError: When it is no version.
            ImageNotFoundError: When there is none.
        """
        here = [version for version in self._known if self.is_here(version)]
        version = select_version(k8sversion, here) or select_version(k8sversion, self._known)
        if version is None:
            raise ImageNotFoundError(
                f"there is no image of Kubernetes {k8sversion}",
                hint=f"There are: {', '.join(self.versions()) or 'none at all'}.",
                driver=self._drivername,
                image=k8sversion,
            )
        return self._known[version]

    def is_here(self, k8sversion: str) -> bool:
        """Tell whether an image is on this machine as a whole.

        Args:
            k8sversion: Its version.

        Returns:
            True when it is.
        """
        image = self._known.get(k8sversion)
        return image is not None and self._bytes_here.get(k8sversion, 0) >= image.size

    def add_bytes(self, image: PublishedImage, number: int) -> int:
        """Put more of an image on this machine.

        Args:
            image: The image.
            number: Bytes.

        Returns:
            Bytes that are here now, never more than the image has.
        """
        here = min(image.size, self._bytes_here.get(image.k8s_version, 0) + number)
        self._bytes_here[image.k8s_version] = here
        return here

    def drop(self, k8sversion: str) -> None:
        """Remove an image from this machine.

        Args:
            k8sversion: Its version.
        """
        self._bytes_here.pop(k8sversion, None)


class SimulatedImage(VMImage):
    """An image of a simulated world.

    Args:
        world: The world.
        published: What the image list says about it.
    """

    def __init__(self, world: World, published: PublishedImage) -> None:
        self._world = world
        self._published = published

    @property
    def k8s_version(self) -> str:
        """The Kubernetes version inside."""
        return self._published.k8s_version

    @property
    def checksum(self) -> str:
        """SHA-256 of `PublishedImage.content`."""
        return self._published.checksum

    @property
    def deprecated(self) -> bool:
        """Whether new hosts may not use it."""
        return self._published.deprecated

    def __repr__(self) -> str:
        return f"<SimulatedImage {self.k8s_version}>"

    async def status(self) -> ImageStatus:
        """Tell whether the image is on this machine."""
        await self._world.begin("status", image=self.k8s_version)
        here = self._world.images.is_here(self.k8s_version)
        return ImageStatus.DOWNLOADED if here else ImageStatus.NOT_DOWNLOADED

    async def fetch(self) -> None:
        """Let the time of a download pass; it goes on where a cancelled one ended."""
        world, image, version = self._world, self._published, self.k8s_version
        await world.begin("fetch", image=version)
        if not world.images.is_here(version) and image.size > world.capacity.disk:
            raise NotEnoughDiskError(
                f"the image of Kubernetes {version} needs {format_size(image.size)}, "
                f"this machine has {format_size(world.capacity.disk)}",
                hint="Free some disk space.",
                driver=world.drivername,
                image=version,
            )
        piece = math.ceil(image.size / _PIECES)
        while not world.images.is_here(version):
            await world.clock.sleep(piece / world.timings.bandwidth)
            done = world.images.add_bytes(image, piece)
            report(
                "download",
                f"downloading the image of Kubernetes {version}",
                image=version,
                fraction=done / image.size,
                bytes_done=done,
                bytes_total=image.size,
                rate=world.timings.bandwidth,
                remaining=(image.size - done) / world.timings.bandwidth,
            )

    async def from_file(self, path: str | PathLike[str]) -> None:
        """Take a file that holds `PublishedImage.content`; see `VMImage.from_file`."""
        await self._world.begin("from_file", image=self.k8s_version)
        try:
            content = await anyio.Path(path).read_bytes()
        except OSError as error:
            raise ImageFormatError(
                f"{fspath(path)} cannot be read: {error.strerror}",
                hint="Give the path of an image file.",
                image=self.k8s_version,
            ) from error
        if not content:
            raise ImageFormatError(f"{fspath(path)} is empty", image=self.k8s_version)
        if hashlib.sha256(content).hexdigest() != self.checksum:
            raise ChecksumMismatchError(
                f"{fspath(path)} is not the image of Kubernetes {self.k8s_version}",
                hint="Its SHA-256 differs from the one on the image list. "
                "A simulated image file holds PublishedImage.content.",
                image=self.k8s_version,
            )
        self._world.images.add_bytes(self._published, self._published.size)

    async def export(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Write a file that holds `PublishedImage.content`; see `VMImage.export`."""
        world = self._world
        await world.begin("export", image=self.k8s_version)
        if not world.images.is_here(self.k8s_version):
            raise ImageNotDownloadedError(
                f"the image of Kubernetes {self.k8s_version} is not on this machine",
                hint="Call fetch() on it first.",
                driver=world.drivername,
                image=self.k8s_version,
            )
        try:
            async with await anyio.open_file(path, "wb" if replace else "xb") as file:
                await file.write(self._published.content)
        except FileExistsError as error:
            raise ConflictError(
                f"{fspath(path)} is there already",
                hint="Name another file, or replace it with replace=True.",
                image=self.k8s_version,
            ) from error
        except OSError as error:
            raise InvalidInputError(
                f"{fspath(path)} cannot be written: {error.strerror}",
                hint="Name a file in a folder that may be written to.",
                image=self.k8s_version,
            ) from error

    async def details(self) -> ImageDetails:
        """Tell its size, its users, and how far its download came."""
        world, version = self._world, self.k8s_version
        await world.begin("details", image=version)
        here = world.images.is_here(version)
        return ImageDetails(
            size=self._published.size if here else None,
            used_by=tuple(key.hostname for key in world.users_of(version)),
            partial=0 if here else world.images.add_bytes(self._published, 0),
        )

    async def purge_local(self) -> None:
        """Remove the local copy; see `VMImage.purge_local`."""
        world = self._world
        await world.begin("purge_local", image=self.k8s_version)
        users = [key.hostname for key in world.users_of(self.k8s_version)]
        if users:
            raise ImageInUseError(
                f"the image of Kubernetes {self.k8s_version} is used by {', '.join(users)}",
                hint="Delete these hosts first.",
                driver=world.drivername,
                image=self.k8s_version,
            )
        world.images.drop(self.k8s_version)
