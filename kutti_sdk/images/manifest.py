"""The format of an image folder, and the checksum an image is known by.

An image is one folder that never changes once it is complete:

```
image.json             this manifest
disk.qcow2             the root disk; hosts run on overlays over it
vmlinux, initrd.img    only for images that boot without a boot loader
```

`image.json` names the size and SHA-256 of every other file. An image that came
as one file (a .qcow2 from an image list, say) is known by the SHA-256 of that
file, because that is what the list promised. Every other image is known by the
SHA-256 of its `image.json`, taken over the very bytes on disk: one checksum
covers the whole folder, `sha256sum` checks it by hand, and keys added by a
later version do not change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kutti_sdk.core.errors import ImageFormatError, InvalidVersionError
from kutti_sdk.core.versions import K8sVersion

MANIFEST_NAME = "image.json"
"""Name of the manifest in an image folder."""

FORMAT = 1
"""The version of the format written here, and the only one understood."""

FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
"""A name that cannot lead out of its folder."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""A SHA-256 checksum in lower case hexadecimal."""

Firmware = Literal["bios", "efi"]
"""What a disk with a boot loader of its own boots by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One file of an image.

    Attributes:
        name: Its name in the image folder.
        size: Its size in bytes.
        sha256: Its checksum.
    """

    name: FileName
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectBoot:
    """How a host boots without firmware and boot loader.

    Attributes:
        kernel: The kernel; an uncompressed ELF file with a PVH entry point.
        initrd: The initial RAM disk.
        cmdline: The kernel command line, to which a driver adds its own words.
    """

    kernel: ImageFile
    initrd: ImageFile
    cmdline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """What an image is and which files make it.

    Attributes:
        k8s_version: Kubernetes version inside, or ``none``.
        architecture: CPU architecture as the kernel calls it: ``x86_64``.
        os: The operating system inside, for people: ``Debian bookworm``.
        created: When it was made, as an ISO 8601 UTC time.
        disk: The root disk, always qcow2.
        boot: How it boots, or None for firmware and the disk's own boot loader.
        firmware: Which firmware, where it boots by one.
        ssh_user: The user whose SSH key a driver installs.
        credentials: Whether systemd (251 or later) inside takes the host's identity
            from system credentials, so that nobody has to log in to set it up; None
            when only a boot can tell, as for every disk that was made elsewhere.
        packages: Versions of the packages inside, by name, where they are known.
        package_files: SHA-256 of the package files that are not Debian's, by name.
        container_archives: SHA-256 of the archives that container images came from,
            by file name.
        container_images: Digests of the container images inside, by name.
        source_sha256: SHA-256 of the one file that the image came as, or None.
        format: Version of this format.
    """

    k8s_version: str
    architecture: str
    os: str
    created: str
    disk: ImageFile
    boot: DirectBoot | None = None
    firmware: Firmware = "bios"
    ssh_user: str = "root"
    credentials: bool | None = False
    packages: dict[str, str] = field(default_factory=dict)
    package_files: dict[str, Sha256] = field(default_factory=dict)
    container_archives: dict[str, Sha256] = field(default_factory=dict)
    container_images: dict[str, str] = field(default_factory=dict)
    source_sha256: Sha256 | None = None
    format: int = FORMAT

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """Every file of the image except the manifest itself."""
        if self.boot is None:
            return (self.disk,)
        return (self.disk, self.boot.kernel, self.boot.initrd)


def describe_file(path: Path, sha256: str) -> ImageFile:
    """Describe a file for a manifest. Reads its size: call it in a thread.

    Args:
        path: The file.
        sha256: Its checksum.

    Returns:
        The description.
    """
    return ImageFile(name=path.name, size=path.stat().st_size, sha256=sha256)


def encode_manifest(manifest: ImageManifest) -> bytes:
    """Write a manifest in its canonical form: sorted keys, two spaces, one line feed.

    Args:
        manifest: The manifest.

    Returns:
        The bytes of `image.json`.
    """
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def decode_manifest(raw: bytes) -> ImageManifest:
    """Read and check a manifest.

    Args:
        raw: The bytes of `image.json`. Unknown keys are ignored.

    Returns:
        The manifest.

    Raises:
        ImageFormatError: When it is no manifest, or one of a format not understood.
    """
    try:
        manifest = msgspec.json.decode(raw, type=ImageManifest)
        K8sVersion.parse(manifest.k8s_version)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        InvalidVersionError,
    ) as error:
        raise ImageFormatError(
            f"{MANIFEST_NAME} is not an image manifest: {error}",
            hint="The image folder is damaged or of another kind; get the image again.",
        ) from error
    if manifest.format != FORMAT:
        raise ImageFormatError(
            f"the image has format {manifest.format}, and only format {FORMAT} is understood",
            hint="Update kutti_sdk, or build the image again.",
        )
    names = [MANIFEST_NAME, *(file.name for file in manifest.files)]
    if len(set(names)) != len(names):
        raise ImageFormatError(f"{MANIFEST_NAME} names one file twice", hint="Get the image again.")
    return manifest


def image_checksum(raw: bytes) -> str:
    """Tell the checksum an image is known by.

    Args:
        raw: The bytes of its `image.json`.

    Returns:
        SHA-256 in hexadecimal: of the one file the image came as, where it did,
        else of the manifest.

    Raises:
        ImageFormatError: When the bytes are no manifest.
    """
    return decode_manifest(raw).source_sha256 or hashlib.sha256(raw).hexdigest()
