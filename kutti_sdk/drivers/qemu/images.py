"""The driver's images: what hosts are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from kutti_sdk.core.errors import (
    ImageDeprecatedError,
    ImageListError,
    ImageNotDownloadedError,
)
from kutti_sdk.core.image import ImageCopy
from kutti_sdk.core.versions import NO_KUBERNETES, K8sVersion
from kutti_sdk.drivers.qemu import records
from kutti_sdk.drivers.qemu.checkpoints.records import load_checkpoints
from kutti_sdk.drivers.qemu.image import QemuImage
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.settings import ImageSettings
from kutti_sdk.drivers.qemu.templates.store import sweep
from kutti_sdk.images.catalogue import load_catalogue, refresh_catalogue
from kutti_sdk.images.file_import import import_image
from kutti_sdk.images.image import StoredImage, find_image, stored_images
from kutti_sdk.images.known_version import known_version
from kutti_sdk.images.serving import ImageServer, serve_images
from kutti_sdk.images.store import LocalImage, find_local
from kutti_sdk.images.upkeep import list_copies, remove_copies


async def fetch_list(settings: ImageSettings) -> None:
    """Get the image lists anew.

    Args:
        settings: Where they are.

    Raises:
        ImageListError: When none is named, or none could be had and none is kept.
    """
    if not settings.sources:
        raise ImageListError(
            "no image list is named",
            hint="Images can be built and imported. To fetch them, name a list: a URL or a file.",
            driver="qemu",
        )
    await refresh_catalogue(settings.sources, settings.http)


async def list_all(settings: ImageSettings) -> list[QemuImage]:
    """List all images, on this machine or not.

    Args:
        settings: Where the image lists are.

    Returns:
        The images, newest version first.
    """
    catalogue = await load_catalogue(settings.sources)
    images = await stored_images(catalogue, _users, settings.http)
    return [_of_driver(image, settings) for image in images]


async def find(k8sversion: str, settings: ImageSettings) -> QemuImage:
    """Find an image.

    Args:
        k8sversion: Its version.
        settings: Where the image lists are.

    Returns:
        The image.

    Raises:
        ImageNotFoundError: When there is none.
    """
    catalogue = await load_catalogue(settings.sources)
    return _of_driver(await find_image(k8sversion, catalogue, _users, settings.http), settings)


async def take(source: Path, k8sversion: str | None, settings: ImageSettings) -> QemuImage:
    """Take an image from a file or folder.

    Args:
        source: The file or folder.
        k8sversion: The version that it has; None for what it says itself, else ``none``.
        settings: Where the image lists are.

    Returns:
        The image.

    Raises:
        ImageError: As `VMImage.from_file` does; also when the image list names another
            image of that version, which would be used in its place.
    """
    chosen = k8sversion or await known_version(source) or NO_KUBERNETES
    version = K8sVersion.parse(chosen).text
    listed = (await load_catalogue(settings.sources)).entries.get(version)
    await import_image(source, version, checksum=listed.image_checksum if listed else None)
    return await find(version, settings)


async def copies() -> list[ImageCopy]:
    """List everything of images on this machine.

    Returns:
        The copies.
    """
    return await list_copies(_users)


async def prune(chosen: Sequence[ImageCopy] | None) -> list[ImageCopy]:
    """Remove everything of images that no host uses, and templates of what is gone.

    Args:
        chosen: Only these; None for all.

    Returns:
        What was removed.
    """
    removed = await remove_copies(await copies() if chosen is None else chosen, _users)
    await sweep()
    return removed


def serve(
    address: str, settings: Callable[[], Awaitable[ImageSettings]]
) -> AbstractAsyncContextManager[ImageServer]:
    """Share the images on this machine.

    Args:
        address: Where to listen.
        settings: Tells where the image lists are, as long as it serves.

    Returns:
        A context manager that gives the server.
    """

    async def images() -> list[StoredImage]:
        return [*await list_all(await settings())]

    return serve_images(address, images)


async def image_for_new_host(k8sversion: str, settings: ImageSettings) -> LocalImage:
    """Find the image that a host is to be made from.

    Args:
        k8sversion: Its version.
        settings: Where the image lists are.

    Returns:
        The image.

    Raises:
        ImageNotFoundError: When there is none.
        ImageDeprecatedError: When it is not for new hosts any more.
        ImageNotDownloadedError: When it is not on this machine.
    """
    image = await find(k8sversion, settings)
    if image.deprecated:
        raise ImageDeprecatedError(
            f"image {image.k8s_version!r} is deprecated",
            hint="Hosts made from it go on running; make new ones from another version.",
            driver="qemu",
            image=image.k8s_version,
        )
    found = await image.local()
    if found is None:
        raise _not_here(image.k8s_version, "Call fetch() on it first.")
    return found


async def image_of(host: HostRecord) -> LocalImage:
    """Find the image that a host was made from.

    Args:
        host: The host.

    Returns:
        The image.

    Raises:
        ImageNotDownloadedError: When it is gone from this machine.
    """
    found = await find_local(host.image)
    if found is None:
        raise _not_here(
            host.k8s_version,
            f"Fetch or import the very image with checksum {host.image}; the host's disk needs it.",
        )
    return found


def _of_driver(image: StoredImage, settings: ImageSettings) -> QemuImage:
    return QemuImage(image.k8s_version, image.checksum, image.entry, _users, settings.http)


def _not_here(k8s_version: str, hint: str) -> ImageNotDownloadedError:
    return ImageNotDownloadedError(
        f"image {k8s_version!r} is not on this machine",
        hint=hint,
        driver="qemu",
        image=k8s_version,
    )


async def _users(checksum: str) -> list[str]:
    users = [
        f"{host.name} (cluster {host.clustername})"
        for host in await records.load_hosts()
        if host.image == checksum
    ]
    users += [
        f"checkpoint {checkpoint.name} (cluster {checkpoint.clustername})"
        for checkpoint in await load_checkpoints()
        if any(host.image == checksum for host in checkpoint.hosts)
    ]
    # Nobody knows which image a host needs whose record is damaged: it may be this one.
    unreadable = await records.unreadable_hosts()
    return users + [f"a host whose record cannot be read, {folder}" for folder in unreadable]
