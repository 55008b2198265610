"""The contract of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.status import ImageStatus


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
            path: A disk image or an image folder.

        Raises:
            ImageFormatError: When it is damaged or of an unknown kind.
            UnsafeImageError: When it names files outside of itself.
            ChecksumMismatchError: When it is not the file that the image list names.
        """

    @abstractmethod
    async def purge_local(self) -> None:
        """Remove the local copy.

        Raises:
            ImageInUseError: When a host still uses it.
        """
