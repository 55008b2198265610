"""Gives a new host a template's disk and state, and an identity of its own."""

from __future__ import annotations

from dataclasses import replace

import anyio.to_thread

from kutti_sdk.core.host import HostSize
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.binaries import find_qemu
from kutti_sdk.drivers.qemu.checkpoints.disks import link_layers, make_above, new_name
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.resume import ResumeFiles, place_state
from kutti_sdk.drivers.qemu.templates.fit import fit_of
from kutti_sdk.drivers.qemu.templates.store import TemplateRecord, load_templates
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import state


async def name_of_template(image: LocalImage, size: HostSize) -> str | None:
    """Tell the name that a template for a host must have.

    Args:
        image: The host's image.
        size: Its size.

    Returns:
        The name; None when there is none of that image and size, whatever its name.
    """
    # What fits is found out only then: that may take a boot of a kernel.
    if not any(
        (template.image, template.size) == (image.checksum, size)
        for template in await load_templates()
    ):
        return None
    fit = await fit_of(image, size)
    return None if fit is None else fit.name


async def no_template(image: LocalImage, size: HostSize) -> str | None:
    """Do what `name_of_template` does, for a host that is to boot whatever there is.

    Args:
        image: The host's image.
        size: Its size.

    Returns:
        None.
    """
    del image, size
    return None


def above_template(host: HostRecord, template: TemplateRecord) -> HostRecord:
    """Describe a host whose disk lies above that of a template.

    Args:
        host: The host as it would be without.
        template: The template.

    Returns:
        The host.
    """
    return replace(host, disk=new_name(), layers=(template.disk,))


async def fill_from_template(
    host: HostRecord, template: TemplateRecord, new_identity: bytes, folder: layout.HostFiles
) -> None:
    """Put disk and state of a template into the folder of a new host.

    Args:
        host: The host, from `above_template`.
        template: The template, which nobody removes meanwhile.
        new_identity: What is new about the host.
        folder: The host's folder, while it is made.
    """
    source = template.files
    layers = (host.layers, source.folder, folder.folder)
    await anyio.to_thread.run_sync(link_layers, *layers)
    await make_above(await find_qemu(), host, folder.folder)

    def place() -> None:
        place_state(source.state, folder, template.conditions, new_identity)
        mark = ResumeFiles(folder.resume).template
        state.write_bytes(mark, template.name.encode())

    await anyio.to_thread.run_sync(place)
