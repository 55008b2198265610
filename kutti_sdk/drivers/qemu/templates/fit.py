"""What a template must have been made of, to be used for a host.

All that could make a difference is in the command line that a host is booted with:
machine type, accelerator, CPU model, sizes, devices, arguments of the kernel. So a
template is named after that command line, of a host that belongs to nobody, and after
what is not in it: the image, the size of the disk, the version of QEMU, and the processor
of this machine.
Whatever of it changes one day, with a new version of this driver too: a template that
was made before is not found any more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from kutti_sdk.core.host import HostSize
from kutti_sdk.drivers.qemu.accelerator import choose_accelerator
from kutti_sdk.drivers.qemu.binaries import Qemu, find_qemu
from kutti_sdk.drivers.qemu.checkpoints.conditions import processor_name
from kutti_sdk.drivers.qemu.machine import Outlets, host_command
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.tsc import clock_arguments
from kutti_sdk.images.manifest import ImageManifest
from kutti_sdk.images.store import LocalImage

FORMAT = 1
"""Version of what a template is; another one makes all templates be made anew."""

_NAME_LENGTH = 24  # hexadecimal digits
_NOWHERE = "template"
_NAMELESS = "localhost"  # what systemd calls a machine that nobody has named


@dataclass(frozen=True, slots=True)
class Fit:
    """What a template is made of.

    Attributes:
        image: The image.
        size: CPUs, memory and disk.
        qemu: The QEMU of this machine.
        accelerator: Name of the accelerator.
        clock: Kernel arguments that choose the clock.
        name: Name of the template.
    """

    image: LocalImage
    size: HostSize
    qemu: Qemu
    accelerator: str
    clock: str
    name: str


async def fit_of(image: LocalImage, size: HostSize) -> Fit | None:
    """Tell what a template must be made of, to be used for a host.

    Args:
        image: The host's image.
        size: Its size.

    Returns:
        What it must be; None when hosts of that image always boot, because they were made
        elsewhere: nobody knows whether they have a guest agent, and how they start.
    """
    if not is_known_to_start_well(image.manifest):
        return None
    qemu = await find_qemu()
    accelerator = await choose_accelerator(qemu, image.kernel)
    clock = await clock_arguments(accelerator)
    parts = [
        FORMAT,
        image.checksum,
        size.disk,
        qemu.version,
        await processor_name(),
        bool(clock),  # and not what it says: the frequency is measured anew each time
        _neutral_command(image, size, qemu, accelerator),
    ]
    name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_NAME_LENGTH]
    return Fit(image, size, qemu, accelerator, clock, name)


def is_known_to_start_well(manifest: ImageManifest) -> bool:
    """Tell whether hosts of an image start in the way that we know, with a guest agent.

    Args:
        manifest: What the image is.

    Returns:
        True for images that our builder made.
    """
    return manifest.boot is not None and manifest.credentials is True


def nobody(image: LocalImage, size: HostSize, uuid: UUID) -> HostRecord:
    """Describe the host that a template is made with; it is in no network.

    Args:
        image: Its image.
        size: Its size.
        uuid: Its UUID.

    Returns:
        A record that is never stored.
    """
    return HostRecord(
        name=_NAMELESS,
        networkname=_NOWHERE,
        clustername=_NOWHERE,
        k8s_version=image.k8s_version,
        image=image.checksum,
        uuid=str(uuid),
        mac="52:54:00:00:00:01",
        address="0.0.0.0",  # noqa: S104 - none
        size=size,
        ssh_user=image.manifest.ssh_user,
        host_key="",
    )


def _neutral_command(image: LocalImage, size: HostSize, qemu: Qemu, accelerator: str) -> list[str]:
    nowhere = Path("/")
    outlets = Outlets(
        disk="",
        disk_node="",
        card=nowhere,
        agent=nowhere,
        monitor=nowhere,
        console=nowhere,
        pid=nowhere,
        identity=nowhere,
    )
    return host_command(
        qemu,
        nobody(image, size, UUID(int=0)),
        outlets,
        accelerator=accelerator,
        manifest=image.manifest,
        image_folder=nowhere,
    )
