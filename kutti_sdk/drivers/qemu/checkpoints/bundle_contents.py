"""What is in the bundle of a checkpoint, and judging one before anything of it is used.

A checkpoint travels as one file, with the images that its hosts need:

```
checkpoint.json     what it is, and the size and checksum of every other file
cluster.json        what the cluster was asked to be; nothing that a driver reads
HOST/memory.qcow2   the host's memory, as a compressed disk: without its holes
HOST/devices        what QEMU knows of processor and devices
HOST/disk*.qcow2    the layers of its disk above the image
CHECKSUM.kutti      the image, as a bundle of its own
```

It is a tar archive of known members in a known order, as the bundles of images are, and
read in the same way: all headers are looked at before the first byte is copied. What
is said in `checkpoint.json` becomes names of files and arguments of QEMU, so it is taken
only in the very form in which this driver writes it.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Annotated

import msgspec

from kutti_sdk.core.errors import ImageFormatError, InvalidInputError
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.network import validate_cidr
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.drivers.qemu.checkpoints.records import CheckpointRecord, layers_of
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.images.bundle.member_reader import MemberReader, damaged
from kutti_sdk.images.manifest import ImageFile, Sha256

RECORD_NAME = "checkpoint.json"
CLUSTER_NAME = "cluster.json"
MEMORY_NAME = "memory.qcow2"
DEVICES_NAME = "devices"

_LAYER = re.compile(r"disk(-[0-9a-f]{8})?\.qcow2")
_MAC = re.compile(r"52:54(:[0-9a-f]{2}){4}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_MACHINE = re.compile(r"pc-i440fx-[0-9]{1,2}\.[0-9]{1,2}")
_KEY = re.compile(r"ssh-[a-z0-9-]{1,32} [A-Za-z0-9+/=]{1,1024}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledFile:
    """A file of a host in the bundle.

    Attributes:
        host: Name of the host.
        name: Name of the file.
        size: Its bytes.
        sha256: Its checksum.
    """

    host: str
    name: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256

    @property
    def member(self) -> str:
        """Its name in the bundle."""
        return f"{self.host}/{self.name}"

    @property
    def image_file(self) -> ImageFile:
        """The same for those who read and write bundles."""
        return ImageFile(name=self.name, size=self.size, sha256=self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledImage:
    """An image in the bundle.

    Attributes:
        checksum: The checksum that it is known by.
        k8s_version: Its Kubernetes version.
        size: Bytes of its own bundle.
        sha256: Checksum of its own bundle, of which `checksum` need not cover all.
    """

    checksum: Sha256
    k8s_version: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256

    @property
    def member(self) -> str:
        """Its name in the bundle."""
        return f"{self.checksum}.kutti"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRecord:
    """What `checkpoint.json` says.

    Attributes:
        checkpoint: The checkpoint's record.
        files: Files of the hosts, in the order of the bundle.
        images: The images, in the order of the bundle.
        format: Version of this record.
    """

    checkpoint: CheckpointRecord
    files: tuple[BundledFile, ...]
    images: tuple[BundledImage, ...]
    format: int = 1


@dataclass(frozen=True, slots=True)
class BundleContents:
    """A bundle that was judged.

    Attributes:
        record: What it says it is.
        description: The bytes of `cluster.json`.
        offsets: Where the content of each member begins.
    """

    record: BundleRecord
    description: bytes
    offsets: dict[str, int]


def expected_files(host: HostRecord) -> list[str]:
    """Name the files of a host in a bundle.

    Args:
        host: The host, as it was saved.

    Returns:
        The names, in the order of the bundle.
    """
    return [MEMORY_NAME, DEVICES_NAME, *layers_of(host)]


def judge_bundle(path: Path) -> BundleContents:
    """Look at everything in a bundle but the contents of large files. Call it in a thread.

    Args:
        path: The bundle.

    Returns:
        What is in it.

    Raises:
        ImageFormatError: When it is damaged, cut off, no bundle of a checkpoint, or has
            anything in it that such bundles do not have.
    """
    if not path.is_file():
        raise ImageFormatError(f"there is no file {path}")
    with path.open("rb", buffering=0) as file:
        return _judge(file)


def _judge(file: IO[bytes]) -> BundleContents:
    reader = MemberReader(file)
    record = _decode(reader.text(RECORD_NAME))
    description = reader.text(CLUSTER_NAME)
    offsets = {}
    promised = [(file.member, file.size) for file in record.files]
    promised += [(image.member, image.size) for image in record.images]
    for member, wanted in promised:
        size = reader.header(member)
        if size != wanted:
            raise damaged(f"{member} has {size} bytes, and {wanted} are promised")
        offsets[member] = reader.position
        reader.skip(size)
    reader.end()
    return BundleContents(record, description, offsets)


def _decode(raw: bytes) -> BundleRecord:
    try:
        record = msgspec.json.decode(raw, type=BundleRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(f"{RECORD_NAME} does not parse: {error}") from error
    if record.format != 1:
        raise damaged(f"its format is {record.format}, and only 1 is known")
    try:
        _check_checkpoint(record.checkpoint)
    except (InvalidInputError, ValueError) as error:
        raise damaged(f"{RECORD_NAME} says what cannot be: {error}") from error
    hosts = record.checkpoint.hosts
    named = [(host.name, name) for host in hosts for name in expected_files(host)]
    if [(file.host, file.name) for file in record.files] != named:
        raise damaged("it has other files than its hosts need")
    wanted = {(host.image, host.k8s_version) for host in hosts}
    brought = [(image.checksum, image.k8s_version) for image in record.images]
    if set(brought) != wanted or len(brought) != len(wanted):
        raise damaged("it has other images than its hosts need")
    return replace(record, checkpoint=_without_forwards(record.checkpoint))


def _check_checkpoint(checkpoint: CheckpointRecord) -> None:
    validate_name(checkpoint.name, "checkpoint name")
    validate_name(checkpoint.clustername, "cluster name")
    network = IPv4Network(validate_cidr(checkpoint.cidr))
    _check(_MACHINE, checkpoint.conditions.machine)
    names = [host.name for host in checkpoint.hosts]
    if not names or len(set(names)) != len(names):
        raise ValueError("hosts without names of their own")
    for host in checkpoint.hosts:
        _check_host(host, network)


def _check_host(host: HostRecord, network: IPv4Network) -> None:
    validate_name(host.name, "host name")
    K8sVersion.parse(host.k8s_version)
    if HostSize.parse(host.size.cpus, host.size.memory, host.size.disk) != host.size:
        raise ValueError(f"a size of {host.size}")
    if str(uuid.UUID(host.uuid)) != host.uuid:
        raise ValueError(f"a UUID {host.uuid!r}")
    if IPv4Address(host.address) not in network:
        raise ValueError(f"an address {host.address}")
    for pattern, text in (
        (_CHECKSUM, host.image),
        (_MAC, host.mac),
        (_USER, host.ssh_user),
        (_KEY, host.host_key),
        *((_LAYER, name) for name in layers_of(host)),
    ):
        _check(pattern, text)
    if len(set(layers_of(host))) != len(layers_of(host)):
        raise ValueError("layers of a disk that are one")


def _check(pattern: re.Pattern[str], text: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"{text[:80]!r}")


def _without_forwards(checkpoint: CheckpointRecord) -> CheckpointRecord:
    hosts = tuple(replace(host, forwards=()) for host in checkpoint.hosts)
    return replace(checkpoint, hosts=hosts)
