"""Takes a checkpoint with its images out of a file from another machine.

What is in such a file runs here with all that it remembers, and its devices are loaded
into QEMU: take it from those only whom you would let log in.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from kutti_sdk.core.checkpoints import CarriedCheckpoint, CheckpointDetails
from kutti_sdk.core.errors import ImageFormatError, NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.drivers.qemu import records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import disks, store
from kutti_sdk.drivers.qemu.checkpoints.bundle_contents import (
    DEVICES_NAME,
    MEMORY_NAME,
    BundleContents,
    BundledImage,
    judge_bundle,
)
from kutti_sdk.drivers.qemu.checkpoints.conditions import refuse_mismatch
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord, layers_of
from kutti_sdk.drivers.qemu.network import create_network, delete_network
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.images.bundle.unpacking import keep_bundle
from kutti_sdk.images.checksums import mismatch
from kutti_sdk.images.incoming import incoming
from kutti_sdk.images.qcow2 import read_foreign_layer, read_header
from kutti_sdk.images.store import LocalImage, find_local, pinned
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.directories import data_dir

_BLOCK = 4 * MiB
_CONVERSION_TIMEOUT = 3600.0  # seconds; a slow disk writes some MiB in each
_HEADER_TIMEOUT = 60.0  # seconds; takes 0.02


async def inspect_checkpoint(source: Path) -> CarriedCheckpoint:
    """Look at a checkpoint in a file, and make sure that it can go on here.

    Args:
        source: The file.

    Returns:
        What is in it.

    Raises:
        KuttiError: As `SupportsCheckpointBundles.inspect_checkpoint` lists them.
    """
    contents = await _judged(source)
    return CarriedCheckpoint(contents.record.checkpoint.details, contents.description)


async def import_checkpoint(source: Path, to: str) -> CheckpointDetails:
    """Take a checkpoint with its images out of a file.

    Args:
        source: The file.
        to: Name of the cluster that it is to belong to, and of its network.

    Returns:
        What is known about it.

    Raises:
        KuttiError: As `SupportsCheckpointBundles.import_checkpoint` lists them.
    """
    validate_name(to, "cluster name")
    contents = await _judged(source)
    await _check_space(contents)
    await create_network(to, contents.record.checkpoint.cidr)
    try:
        network = await records.load_network(to)
        with await anyio.to_thread.run_sync(lambda: source.open("rb", buffering=0)) as file:
            unpacking = _Unpacking(file, contents)
            images = {
                image.checksum: await unpacking.image(image) for image in contents.record.images
            }
            async with store.changing(network, to):
                return (await _unpack(unpacking, network, images)).details
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await delete_network(to)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise _no_space(contents, "the disk is full") from error
        raise


async def _judged(source: Path) -> BundleContents:
    contents = await anyio.to_thread.run_sync(judge_bundle, source)
    image = await find_local(contents.record.images[0].checksum)
    kernel = image.kernel if image else None
    await refuse_mismatch(contents.record.checkpoint.conditions, await find_qemu(), kernel)
    return contents


async def _unpack(
    unpacking: _Unpacking, network: NetworkRecord, images: dict[str, LocalImage]
) -> CheckpointRecord:
    """Unpack all hosts beside, and put the checkpoint in place as a whole."""
    saved = unpacking.contents.record.checkpoint
    hosts = tuple(
        replace(host, networkname=network.name, clustername=network.name) for host in saved.hosts
    )
    files = checkpoint_files(network.files, network.name, saved.name)
    place = store.beside(files)
    for host in hosts:
        await unpacking.host(host, place, images[host.image])
    kept = [place.folder / host.name / name for host in hosts for name in layers_of(host)]
    memories = [place.host(host.name).memory for host in hosts]
    record = replace(
        saved,
        networkname=network.name,
        clustername=network.name,
        hosts=hosts,
        memory=await disks.bytes_of([*memories, *(place.host(it.name).devices for it in hosts)]),
        disk=await disks.bytes_of(kept),
    )
    await state.save(place.record, record)
    for host in hosts:
        await anyio.to_thread.run_sync(_bring_to_disk, place.folder / host.name)
    # From the rename on the images have a user; see `make_host_folder`.
    async with pinned(next(iter(images.values()))):
        for image in images.values():
            if await find_local(image.checksum) is None:
                raise ImageFormatError("an image was removed while the checkpoint was imported")
        await anyio.Path(place.folder).rename(files.folder)
    await anyio.to_thread.run_sync(state.sync_folder, files.folder.parent)
    return record


@dataclass(frozen=True, slots=True)
class _Unpacking:
    """Copies out of a bundle, and verifies what was copied.

    Attributes:
        file: The bundle.
        contents: What is in it.
    """

    file: IO[bytes]
    contents: BundleContents

    async def image(self, image: BundledImage) -> LocalImage:
        present = await find_local(image.checksum)
        if present is not None:
            return present
        async with incoming() as place:
            bundle = place / image.member
            digest = await self._copy(image.member, bundle, image.size)
            if digest != image.sha256:
                raise mismatch(bundle, image.sha256, digest)
            return await keep_bundle(bundle, image.k8s_version, checksum=image.checksum)

    async def host(self, host: HostRecord, place: CheckpointFiles, image: LocalImage) -> None:
        folder = place.folder / host.name
        await anyio.Path(folder).mkdir(mode=0o700, parents=True)
        for file in self.contents.record.files:
            if file.host != host.name:
                continue
            path = folder / file.name
            digest = await self._copy(file.member, path, file.size)
            if digest != file.sha256:
                raise mismatch(path, file.sha256, digest)
            if file.name == MEMORY_NAME:
                await _unfold_memory(path, place.host(host.name).memory, host.size.memory)
            elif file.name != DEVICES_NAME:
                await _rebase(path, host, image)

    async def _copy(self, member: str, target: Path, size: int) -> str:
        """Copy a file out of the bundle; give its SHA-256."""
        start, done = self.contents.offsets[member], 0
        digest = hashlib.sha256()
        with await anyio.to_thread.run_sync(lambda: target.open("xb", buffering=0)) as copy:
            while done < size:
                length = min(_BLOCK, size - done)
                block = await anyio.to_thread.run_sync(
                    _copy_block, self.file, start + done, copy, length
                )
                await anyio.to_thread.run_sync(digest.update, block)
                done += length
                report(
                    "import",
                    f"unpacking {member}",
                    fraction=done / size,
                    bytes_done=done,
                    bytes_total=size,
                )
        return digest.hexdigest()


def _copy_block(source: IO[bytes], offset: int, copy: IO[bytes], length: int) -> bytes:
    source.seek(offset)
    block = source.read(length)
    if len(block) < length:
        raise ImageFormatError("the bundle became shorter while it was read")
    rest = memoryview(block)
    while rest:
        rest = rest[copy.write(rest) :]
    return block


async def _unfold_memory(packed: Path, memory: Path, size: int) -> None:
    header = await anyio.to_thread.run_sync(read_header, packed)
    if header.virtual_size != size:
        raise ImageFormatError(
            f"a memory of {format_size(header.virtual_size)} is in the bundle for a host that "
            f"has {format_size(size)}"
        )
    command = [(await find_qemu()).disk_tool, "convert", "-q", "-f", "qcow2", "-O", "raw"]
    await processes.run([*command, str(packed), str(memory)], timeout=_CONVERSION_TIMEOUT)
    await anyio.Path(packed).unlink()


async def _rebase(layer: Path, host: HostRecord, image: LocalImage) -> None:
    """Let a layer stand on the one below here, whatever it stood on where it came from."""
    header = await anyio.to_thread.run_sync(read_foreign_layer, layer)
    if header.virtual_size != host.size.disk:
        raise ImageFormatError(f"{layer.name} of {host.name!r} is not as large as its disk")
    names = layers_of(host)
    position = names.index(layer.name)
    below = names[position - 1] if position else str(image.disk)
    # -u: nothing is opened that the layer names.
    command = [(await find_qemu()).disk_tool, "rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2"]
    await processes.run([*command, "-b", below, str(layer)], timeout=_HEADER_TIMEOUT)


def _bring_to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        state.sync_file(path)
    state.sync_folder(folder)


async def _check_space(contents: BundleContents) -> None:
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, data_dir())).free
    if _needed(contents) > free:
        raise _no_space(contents, f"{format_size(free)} are left")


def _needed(contents: BundleContents) -> int:
    """What it takes in all: the files, once more what is compressed, and the images twice."""
    files = sum(file.size for file in contents.record.files)
    images = sum(image.size for image in contents.record.images)
    most = sum(host.size.memory for host in contents.record.checkpoint.hosts)
    return files + min(contents.record.checkpoint.memory, most) + 2 * images


def _no_space(contents: BundleContents, found: str) -> NotEnoughDiskError:
    return NotEnoughDiskError(
        f"the checkpoint takes up to {format_size(_needed(contents))}, and {found}",
        hint=f"Make room on the disk that holds {data_dir()}.",
        driver="qemu",
    )
