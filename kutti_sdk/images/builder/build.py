"""From a recipe to an image folder."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import ImageBuildError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import GiB, format_size
from kutti_sdk.images.builder.bootstrap import bootstrap
from kutti_sdk.images.builder.disk import make_disk, unpack_root
from kutti_sdk.images.builder.initrd import MODULES, build_initrd
from kutti_sdk.images.builder.kernel import extract_vmlinux
from kutti_sdk.images.builder.kubernetes import (
    KubernetesContents,
    LoadedImages,
    choose_contents,
    load_images,
    node_files,
    prepare,
)
from kutti_sdk.images.builder.log import build_log
from kutti_sdk.images.builder.namespace import UserNamespace, subordinate_ids
from kutti_sdk.images.builder.programs import require_programs
from kutti_sdk.images.builder.recipe import ARCHITECTURE, NodeImageRecipe
from kutti_sdk.images.builder.root_filesystem import (
    InstalledSystem,
    format_date,
    read_installed_system,
    write_node_filesystem,
)
from kutti_sdk.images.checksums import checksum_of
from kutti_sdk.images.manifest import (
    MANIFEST_NAME,
    DirectBoot,
    ImageFile,
    ImageManifest,
    describe_file,
    encode_manifest,
)

COMMAND_LINE = (
    "root=/dev/vda rootflags=noatime,noinit_itable,discard rw console=ttyS0 "
    "loglevel=4 systemd.show_status=error net.ifnames=0 apparmor=0 selinux=0 audit=0"
)
"""The kernel command line of node images.

The disk holds one file system and no partitions; tables of inodes are not zeroed
in the background after it has grown, which would fill every overlay. What is
deleted is discarded at once, so that overlays shrink again.
"""

_DISK, _KERNEL, _INITRD = "disk.qcow2", "vmlinux", "initrd.img"
_NEEDED_SPACE = 4 * GiB  # an archive, the unpacked tree, the raw and the packed disk
_REMOVE_TIMEOUT = 60.0  # seconds
_BOOTSTRAP_SHARE = 0.7  # of the time a build takes
_IMAGES_FROM, _IMAGES_TO = 0.75, 0.85
_EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"  # reproducible-builds.org/specs/source-date-epoch


async def build_node_image(
    recipe: NodeImageRecipe, destination: Path, *, log: Path
) -> ImageManifest:
    """Build a node image as an ordinary user, or as root without a root's rights.

    The destination appears as a whole or not at all. It takes a minute or two, and
    about 4 GiB in the system's folder for temporary files and beside the
    destination. The same packages make the same image,
    except for containerd's two small databases in an image with container images:
    they keep the time at which those were loaded.

    Args:
        recipe: What goes into it.
        destination: The image folder to make; must not exist.
        log: The file that keeps what the programs said.

    Returns:
        The manifest of the image.

    Raises:
        ImageBuildError: When programs are missing, packages cannot be had, or a step
            fails.
        NotEnoughDiskError: When there is too little space.
    """
    await anyio.to_thread.run_sync(_check, destination)
    contents = await choose_contents(recipe)
    ids = await anyio.to_thread.run_sync(subordinate_ids)
    async with (
        build_log(log) as lines,
        _work_folder(destination) as work,
    ):
        return await _build(recipe, contents, UserNamespace(ids, lines), work, destination)


def _check(destination: Path) -> None:
    require_programs()
    if destination.exists():
        raise ImageBuildError(f"{destination} exists already", hint="Choose another folder.")
    destination.parent.mkdir(parents=True, exist_ok=True)
    for place in (destination.parent, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if free < _NEEDED_SPACE:
            raise NotEnoughDiskError(
                f"building an image takes {format_size(_NEEDED_SPACE)} in {place}, "
                f"where {format_size(free)} are free",
                hint="Free some space, or choose another destination and TMPDIR.",
            )


@asynccontextmanager
async def _work_folder(destination: Path) -> AsyncIterator[Path]:
    work = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.building")
    await anyio.to_thread.run_sync(work.mkdir)
    try:
        yield work
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_REMOVE_TIMEOUT):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, work, ignore_errors=True))


async def _build(
    recipe: NodeImageRecipe,
    contents: KubernetesContents,
    namespace: UserNamespace,
    work: Path,
    destination: Path,
) -> ImageManifest:
    def tell(message: str, fraction: float) -> None:
        report("build", message, image=recipe.k8s_version, fraction=fraction)

    packages, root, image = work / "packages.tar", work / "root.tar", work / "image"
    epoch = _wanted_epoch(recipe)
    async with namespace.scratch_folder() as scratch:
        await prepare(contents, namespace, scratch)
        await bootstrap(
            recipe,
            contents.packages,
            namespace,
            scratch,
            packages,
            timestamp=int(time.time()) if epoch is None else epoch,
            on_progress=lambda message, done: tell(message, done * _BOOTSTRAP_SHARE),
        )
        tell("Preparing the root file system", _BOOTSTRAP_SHARE)
        system = await anyio.to_thread.run_sync(read_installed_system, packages, MODULES)
        timestamp = system.newest if epoch is None else epoch
        await anyio.to_thread.run_sync(_write_boot_files, system, image)
        extra = await node_files(contents, namespace, scratch, packages, system.packages)
        await anyio.to_thread.run_sync(
            partial(write_node_filesystem, packages, root, extra, timestamp=timestamp)
        )
        await anyio.to_thread.run_sync(packages.unlink)
        await unpack_root(namespace, scratch, root)
        await anyio.to_thread.run_sync(root.unlink)
        loaded = await load_images(
            contents,
            namespace,
            scratch,
            timestamp=timestamp,
            on_progress=lambda message, done: tell(
                message, _IMAGES_FROM + done * (_IMAGES_TO - _IMAGES_FROM)
            ),
        )
        tell("Making the disk", _IMAGES_TO)
        await make_disk(
            namespace,
            scratch,
            image / _DISK,
            size=recipe.disk_size,
            identity=_identity(recipe, contents, timestamp),
            timestamp=timestamp,
            opaque=loaded.opaque,
        )
    tell("Taking checksums", 0.97)
    manifest = await _describe(
        image, recipe, contents=contents, loaded=loaded, system=system, timestamp=timestamp
    )
    await anyio.to_thread.run_sync(image.rename, destination)
    tell("Image built", 1.0)
    return manifest


def _wanted_epoch(recipe: NodeImageRecipe) -> int | None:
    if recipe.source_date_epoch is not None:
        return recipe.source_date_epoch
    text = os.environ.get(_EPOCH_VARIABLE)
    if text is None:
        return None
    if not text.isdecimal():
        raise ImageBuildError(
            f"the environment variable {_EPOCH_VARIABLE} is {text!r}",
            hint="Set it to a number of seconds, or not at all.",
        )
    return int(text)


def _write_boot_files(system: InstalledSystem, image: Path) -> None:
    image.mkdir()
    (image / _KERNEL).write_bytes(extract_vmlinux(system.kernel))
    (image / _INITRD).write_bytes(build_initrd(system.busybox, system.modules))


def _identity(recipe: NodeImageRecipe, contents: KubernetesContents, timestamp: int) -> uuid.UUID:
    """Derive the file system's identity from what is in it, wherever that came from."""
    parts = (
        *(recipe.suite, recipe.all_packages, recipe.disk_size, timestamp),
        *(sorted(contents.package_files.items()), sorted(contents.archive_files.items())),
    )
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(parts))


async def _describe(
    image: Path,
    recipe: NodeImageRecipe,
    *,
    contents: KubernetesContents,
    loaded: LoadedImages,
    system: InstalledSystem,
    timestamp: int,
) -> ImageManifest:
    disk, kernel, initrd = [await _measure(image / name) for name in (_DISK, _KERNEL, _INITRD)]
    manifest = ImageManifest(
        k8s_version=contents.k8s_version,
        architecture=ARCHITECTURE,
        os=f"Debian {recipe.suite}",
        created=format_date(timestamp),
        disk=disk,
        boot=DirectBoot(kernel=kernel, initrd=initrd, cmdline=COMMAND_LINE),
        credentials=True,
        packages=system.packages,
        package_files=contents.package_files,
        container_archives=contents.archive_files,
        container_images=loaded.digests,
    )
    await anyio.Path(image / MANIFEST_NAME).write_bytes(encode_manifest(manifest))
    return manifest


async def _measure(path: Path) -> ImageFile:
    return await anyio.to_thread.run_sync(describe_file, path, await checksum_of(path))
