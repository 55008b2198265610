"""The contract of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike, fspath

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import ImageError
from kutti_sdk.core.status import CopyStatus, ImageStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetails:
    """What can be told about an image beyond its version and status.

    Attributes:
        size: Bytes that it takes on this machine; None when it is not here, or when the
            driver cannot tell.
        used_by: Names of the hosts that use it.
        kept: When it was fetched, built or imported last, in UTC; None when unknown.
        partial: Bytes of a download that was interrupted and can go on.
        templates: Bytes that its templates take on this machine; see `VMImage.warm_up`.
    """

    size: int | None = None
    used_by: tuple[str, ...] = ()
    kept: datetime | None = None
    partial: int = 0
    templates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCopy:
    """Something of images that takes room on this machine.

    Attributes:
        status: Whether it is a whole image, or what else.
        size: Bytes that it takes.
        k8s_version: Kubernetes version of the image; None when that cannot be told.
        checksum: What the image is known by; empty when that cannot be told.
        used_by: Names of the hosts that use it.
        kept: When it was fetched, built or imported last, in UTC; None when unknown.
        problem: What is wrong with it, where something is.
    """

    status: CopyStatus
    size: int
    k8s_version: str | None = None
    checksum: str = ""
    used_by: tuple[str, ...] = ()
    kept: datetime | None = None
    problem: str = ""


class VMImage(Displayed, ABC):
    """A template for hosts, with a Kubernetes version and a checksum."""

    @property
    @abstractmethod
    def k8s_version(self) -> str:
        """The Kubernetes version inside, or ``none``; the key of the image."""

    @property
    @abstractmethod
    def checksum(self) -> str:
        """SHA-256 of the image in lower case hexadecimal; empty when unknown."""

    @property
    @abstractmethod
    def deprecated(self) -> bool:
        """Whether existing hosts may use it, but new ones may not."""

    @abstractmethod
    async def status(self) -> ImageStatus:
        """Tell whether the image can be used at once.

        Returns:
            The status, read from disk at every call.
        """

    async def packages(self) -> Mapping[str, str]:
        """Tell which packages are inside, where that is known.

        Returns:
            Versions by name; empty when the image does not tell, or is not here.
        """
        return {}

    @abstractmethod
    async def fetch(self) -> None:
        """Download the image and verify its checksum; nothing to do when it is here.

        Raises:
            DownloadError: When it could not be downloaded.
            ChecksumMismatchError: When other bytes came than were promised.
            NotEnoughDiskError: When it would not fit.
        """

    @abstractmethod
    async def from_file(self, path: str | PathLike[str]) -> None:
        """Take the image from a local file or folder instead of downloading it.

        Args:
            path: A disk image, a bundle or an image folder.

        Raises:
            ImageFormatError: When it is damaged or of an unknown kind.
            UnsafeImageError: When it names files outside of itself.
            ChecksumMismatchError: When it is not the file that the image list names.
        """

    async def export(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        """Write the image to one file, which `from_file` takes on another machine.

        Drivers that have such files override it.

        Args:
            path: The file to write. It is there as a whole or not at all.
            replace: Whether a file that is there may be replaced.

        Raises:
            ImageError: When images of this driver cannot be exported.
            ImageNotDownloadedError: When it is not on this machine.
            ConflictError: When there is a file, and it may not be replaced.
            NotEnoughDiskError: When it does not fit.
        """
        del replace  # nothing is written
        raise ImageError(
            f"image {self.k8s_version!r} cannot be exported to {fspath(path)}: "
            "its driver has no such files",
            hint="Use `from_file` with the file that the image came from.",
            image=self.k8s_version,
        )

    async def warm_up(
        self,
        *,
        cpus: int | None = None,
        memory: int | str | None = None,
        disk: int | str | None = None,
    ) -> None:
        """Make a template, from which new hosts of one size go on in place of booting.

        Nothing to do when there is one that fits. Drivers that can override it.

        Args:
            cpus: Number of CPUs; default as in `HostSize`, like the others.
            memory: Bytes of memory, or a text such as ``"2GiB"``.
            disk: Bytes of disk, or a text such as ``"20GiB"``.

        Raises:
            ImageError: When hosts of this image, or of this driver, always boot.
            ImageNotDownloadedError: When the image is not on this machine.
            InvalidSizeError: When a size is not valid.
            ResourceError: When this machine has not got enough memory, CPUs or disk.
            HypervisorError: When the template could not be made; nothing of it is kept.
        """
        del cpus, memory, disk  # there are no templates
        raise ImageError(
            f"hosts of image {self.k8s_version!r} always boot: its driver makes no templates",
            hint='Use a driver that does, such as "qemu".',
            image=self.k8s_version,
        )

    async def cool_down(self) -> None:
        """Remove all templates of the image; hosts that were made from them stay."""

    async def details(self) -> ImageDetails:
        """Tell more about the image; drivers that know nothing more leave it as it is.

        Returns:
            The details, read anew at every call.
        """
        return ImageDetails()

    @abstractmethod
    async def purge_local(self) -> None:
        """Remove the local copy, and what interrupted downloads left of it.

        Raises:
            ImageInUseError: When a host still uses it.
        """
