"""Writes a checkpoint with its images into one file, to carry it to another machine."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import NotEnoughDiskError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import format_size
from kutti_sdk.drivers.qemu import records
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints import store
from kutti_sdk.drivers.qemu.checkpoints.bundle_contents import (
    CLUSTER_NAME,
    MEMORY_NAME,
    RECORD_NAME,
    BundledFile,
    BundledImage,
    BundleRecord,
    expected_files,
)
from kutti_sdk.drivers.qemu.checkpoints.files import CheckpointFiles, checkpoint_files
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord, load_checkpoint
from kutti_sdk.drivers.qemu.images import image_of
from kutti_sdk.images.bundle.archive import END
from kutti_sdk.images.bundle.export import checked_target, write_bundle
from kutti_sdk.images.bundle.layout import (
    Bundle,
    FilePart,
    bundle_member,
    file_member,
    joined,
    lay_out,
    text_member,
)
from kutti_sdk.images.bundle.reading import read_through
from kutti_sdk.images.digests import Span, digests_of
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import processes

_PRIVATE = 0o600
_CONVERSION_TIMEOUT = 3600.0  # seconds; a slow disk writes some MiB in each


async def export_checkpoint(
    name: str,
    networkname: str,
    clustername: str,
    target: Path,
    *,
    description: bytes,
    replace: bool,
) -> None:
    """Write a checkpoint with its images into a file.

    Args:
        name: Name of the checkpoint.
        networkname: Name of its network.
        clustername: Name of its cluster.
        target: The file to write.
        description: What the cluster was asked to be; carried unread.
        replace: Whether a file that is there may be replaced.

    Raises:
        KuttiError: As `SupportsCheckpointBundles.export_checkpoint` lists them.
    """
    target = await anyio.to_thread.run_sync(checked_target, target, replace)
    network = await records.load_network(networkname)
    await load_checkpoint(network, clustername, name)
    async with store.changing(network, clustername):
        saved = await load_checkpoint(network, clustername, name)
        files = checkpoint_files(network.files, clustername, name)
        await anyio.to_thread.run_sync(_check_space, saved, files)
        report("export", f"compressing the memory of {name}", cluster=clustername)
        async with _memories(saved, files, store.beside(files).folder) as memories:
            bundle = await _lay_out(saved, files, memories, description)
            await write_bundle(bundle, target, replace=replace, mode=_PRIVATE)


def _check_space(saved: CheckpointRecord, files: CheckpointFiles) -> None:
    free = shutil.disk_usage(files.folder).free
    if saved.memory > free:
        raise NotEnoughDiskError(
            f"compressing the memory may take {format_size(saved.memory)} for a while, and "
            f"{format_size(free)} are left",
            hint=f"Make room on the disk that holds {files.folder}.",
            driver="qemu",
            cluster=saved.clustername,
        )


@asynccontextmanager
async def _memories(
    saved: CheckpointRecord, files: CheckpointFiles, folder: Path
) -> AsyncIterator[dict[str, Path]]:
    """Have the memories of all hosts as compressed disks, for the length of a block."""
    tool = (await find_qemu()).disk_tool
    try:
        await anyio.Path(folder).mkdir(mode=0o700)
        made = {}
        for host in saved.hosts:
            made[host.name] = folder / f"{host.name}-{secrets.token_hex(4)}.qcow2"
            command = [tool, "convert", "-q", "-f", "raw", "-O", "qcow2", "-c"]
            command += ["-o", "compression_type=zstd", str(files.host(host.name).memory)]
            await processes.run([*command, str(made[host.name])], timeout=_CONVERSION_TIMEOUT)
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


async def _lay_out(
    saved: CheckpointRecord,
    files: CheckpointFiles,
    memories: dict[str, Path],
    description: bytes,
) -> Bundle:
    carried: list[tuple[BundledFile, Path]] = []
    for host in saved.hosts:
        for name in expected_files(host):
            path = memories[host.name] if name == MEMORY_NAME else files.folder / host.name / name
            size = (await anyio.Path(path).stat()).st_size
            (digest,) = await digests_of(path, [Span("sha256", 0, size)])
            file = BundledFile(host=host.name, name=name, size=size, sha256=digest)
            carried.append((file, path))
    bundles = {host.image: await _image_bundle(await image_of(host)) for host in saved.hosts}
    record = BundleRecord(
        checkpoint=replace(saved, hosts=tuple(replace(host, forwards=()) for host in saved.hosts)),
        files=tuple(file for file, _ in carried),
        images=tuple([await _bundled(bundle) for bundle in bundles.values()]),
    )
    encoded = msgspec.json.format(msgspec.json.encode(record), indent=2)
    parts: list[bytes | FilePart] = [*text_member(RECORD_NAME, encoded)]
    parts += text_member(CLUSTER_NAME, description)
    for file, path in carried:
        parts += file_member(file.member, path, file.image_file)
    for image in record.images:
        parts += bundle_member(image.member, bundles[image.checksum])
    return Bundle(next(iter(bundles.values())).image, joined([*parts, END]))


async def _bundled(bundle: Bundle) -> BundledImage:
    report("export", "verifying the image", image=bundle.image.k8s_version)
    digest = hashlib.sha256()
    await read_through(bundle, digest.update, lambda _: None)
    return BundledImage(
        checksum=bundle.image.checksum,
        k8s_version=bundle.image.k8s_version,
        size=bundle.size,
        sha256=digest.hexdigest(),
    )


async def _image_bundle(image: LocalImage) -> Bundle:
    # What an image list says of it belongs to a machine, and not to a checkpoint.
    return await lay_out(image, None)
