"""Makes templates: boots a host that belongs to nobody, and saves it.

That host has keys that nobody can use, and is in no network. It boots with a file as its
memory. When all of its services run, it stands still, QEMU writes down what it knows of
the devices, and ends: memory, devices and disk are the template.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import (
    HypervisorError,
    ImageFormatError,
    KuttiError,
    NotEnoughDiskError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.host import HostSize
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.drivers.qemu import capacity, layout
from kutti_sdk.drivers.qemu.checkpoints.conditions import conditions_of
from kutti_sdk.drivers.qemu.checkpoints.disks import new_name
from kutti_sdk.drivers.qemu.console import read_console
from kutti_sdk.drivers.qemu.guest_agent import guest_agent
from kutti_sdk.drivers.qemu.identity import nobodys_smbios_string
from kutti_sdk.drivers.qemu.machine import Memory, Outlets, disk_device, host_command
from kutti_sdk.drivers.qemu.overlay import make_overlay, refuse_smaller
from kutti_sdk.drivers.qemu.qmp import monitor
from kutti_sdk.drivers.qemu.records import HostRecord
from kutti_sdk.drivers.qemu.resume import LOAD_TIMEOUT, Conditions, save_devices
from kutti_sdk.drivers.qemu.templates import store
from kutti_sdk.drivers.qemu.templates.files import TemplateFiles, maker_sockets, making_lock
from kutti_sdk.drivers.qemu.templates.fit import Fit, fit_of, nobody
from kutti_sdk.images.store import LocalImage
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.tasks import task_group
from kutti_sdk.ssh.keys import generate_host_key

_LOCK_TIMEOUT = 1800.0  # seconds; others may make templates first, one after the other
_BOOT_TIMEOUT = 600.0  # seconds; takes 20 on a quiet machine that emulates
_CONSOLE_STEP = 0.5  # seconds between two looks at the console
_LINES = 20
_DISK_RESERVE = 128 * MiB  # what a first boot writes
_CLEAN_UP = 30.0  # seconds
_WORTH = 2
"""New hosts for each CPU of this machine from which on a template saves time at once.

It costs the time of one boot, in which N hosts on C CPUs take N / C. One that goes on
took up to 0.46 of it on a busy machine: 1 + N / 2C is less than N / C from N = 2C on."""

_SETTLE = b"""
# Until all that is started at boot runs, or has failed: as in any host that booted.
systemctl is-system-running --wait
# What every host runs first is in memory then.
perl -Mstrict -Mwarnings -e 1; ip -V; bash -c :
# What the random generator is to begin with at the next boot is for one host only.
rm -f /var/lib/systemd/random-seed
sync
"""


async def make_template(image: LocalImage, size: HostSize) -> None:
    """Make a template, unless there is one that fits.

    Of several that want the same one, in this process or another, one makes it.

    Args:
        image: The image.
        size: How large the hosts are.

    Raises:
        ImageFormatError: When hosts of that image always boot.
        InvalidSizeError: When the disk is smaller than that of the image.
        ResourceError: When this machine has not got enough memory, CPUs or disk.
        HypervisorError: When it does not boot, or cannot be saved; nothing is kept.
    """
    fit = await fit_of(image, size)
    if fit is None:
        raise ImageFormatError(
            f"hosts of image {image.k8s_version!r} always boot: it was made elsewhere",
            hint="Images that `image build` makes can be started warm.",
            driver="qemu",
            image=image.k8s_version,
        )
    capacity.check_size(size)
    refuse_smaller(image, size.disk)
    async with locked(making_lock(), timeout=_LOCK_TIMEOUT):
        await store.clear_away()
        async with store.held(fit.name) as present:
            if present is not None:
                return
        await capacity.check_memory([size])
        await _refuse_full_disk(size)
        place = store.beside(fit.name)
        try:
            await store.keep(place, await _make(fit, place), image)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEAN_UP):
                await store.clear_away()
    _tell(fit, "the template is complete", fraction=1.0)


async def make_templates_for(image: LocalImage, sizes: Sequence[HostSize]) -> None:
    """Make the templates that save time when many hosts are made at once.

    One that cannot be made is told; hosts boot without it.

    Args:
        image: The image of the hosts.
        sizes: How large each of them is.
    """
    if await fit_of(image, sizes[0]) is None:
        return
    for size, count in Counter(sizes).items():
        if count > _WORTH * (os.cpu_count() or 1):
            try:
                await make_template(image, size)
            except KuttiError as error:
                words = f"new hosts boot, because a template could not be made: {error.message}"
                report("warning", words, image=image.k8s_version)


async def _make(fit: Fit, place: TemplateFiles) -> store.TemplateRecord:
    """Boot a host, save it, and describe what came of it."""
    host = replace(nobody(fit.image, fit.size, uuid4()), disk=new_name())
    outlets = _outlets(host, place)
    await anyio.Path(place.folder).mkdir(mode=0o700)
    await anyio.to_thread.run_sync(state.write_bytes, place.identity, _identity(host))
    await make_overlay(fit.image, place.folder / host.disk, fit.size.disk)
    _tell(fit, f"booting a host of {fit.size} to make a template of it")
    layout.make_socket_folders(maker_sockets())
    command = host_command(
        fit.qemu,
        host,
        outlets,
        accelerator=fit.accelerator,
        manifest=fit.image.manifest,
        image_folder=fit.image.folder,
        clock=fit.clock,
        memory=Memory(place.state.memory, "pc", share="on", is_saved=False),
    )
    identity = await processes.start_daemon(command, place.pid, mark=str(place.pid))
    await _boot(fit, outlets, identity)
    conditions = await _save(outlets, identity, place)
    for path in (place.state.memory, place.state.devices, place.folder / host.disk):
        await anyio.to_thread.run_sync(state.sync_file, path)
    for path in (place.identity, place.console, place.pid):
        path.unlink(missing_ok=True)  # QEMU may have removed it
    return store.TemplateRecord(
        name=fit.name,
        image=fit.image.checksum,
        k8s_version=fit.image.k8s_version,
        size=fit.size,
        disk=host.disk,
        devices=place.state.devices.stat().st_size,
        conditions=conditions,
        created=time.time(),
    )


def _outlets(host: HostRecord, place: TemplateFiles) -> Outlets:
    sockets, disk = maker_sockets(), place.folder / host.disk
    return Outlets(
        disk=disk_device(disk),
        disk_node=disk.stem,
        card=sockets.unseen_card(host.id),
        agent=sockets.agent(host.id),
        monitor=sockets.monitor(host.id),
        console=place.console,
        pid=place.pid,
        identity=place.identity,
    )


def _identity(host: HostRecord) -> bytes:
    # The private key of who may log in is forgotten right here.
    host_key, nobodys = generate_host_key(), generate_host_key()
    return nobodys_smbios_string(
        replace(host, host_key=host_key.public_line),
        host_key=host_key.private_text,
        authorized_key=nobodys.public_line,
    )


async def _boot(fit: Fit, outlets: Outlets, identity: processes.ProcessIdentity) -> None:
    """Wait until all services of a host run, or have failed."""

    async def watch() -> None:
        seen = ""
        while processes.is_alive(identity):
            with anyio.move_on_after(_CONSOLE_STEP):
                await processes.wait_for_exit(identity)
            console = await anyio.to_thread.run_sync(read_console, outlets.console, _LINES)
            if console != seen:
                seen = console
                _tell(fit, console.splitlines()[-1].strip())
        raise HypervisorError(
            "the host that was to become a template ended while it booted",
            hint=f"Last lines of its console:\n{seen}" if seen else None,
            driver="qemu",
            image=fit.image.k8s_version,
        )

    async with task_group() as group:
        group.start_soon(watch)
        async with guest_agent(outlets.agent, timeout=_BOOT_TIMEOUT) as agent:
            await agent.run("/bin/sh", _SETTLE)
        group.cancel_scope.cancel()


async def _save(
    outlets: Outlets, identity: processes.ProcessIdentity, place: TemplateFiles
) -> Conditions:
    """Let a host stand still, and its QEMU write down what is not in the memory's file."""
    async with monitor(outlets.monitor, timeout=LOAD_TIMEOUT) as qemu:
        conditions = await conditions_of(qemu, identity)
        await qemu.execute("stop")
        await save_devices(qemu, place.state.devices)
        await qemu.execute("quit")
    with anyio.move_on_after(LOAD_TIMEOUT):
        await processes.wait_for_exit(identity)  # from then on its files are complete
        return conditions
    raise HypervisorError("QEMU did not end after it had saved a host", driver="qemu")


async def _refuse_full_disk(size: HostSize) -> None:
    folder = layout.templates_folder()
    free = (await anyio.to_thread.run_sync(shutil.disk_usage, folder)).free
    wanted = size.memory + _DISK_RESERVE
    if wanted > free:
        raise NotEnoughDiskError(
            f"a template may take {format_size(wanted)}, and {format_size(free)} are left",
            hint=f"Make room on the disk that holds {folder}.",
            driver="qemu",
        )


def _tell(fit: Fit, message: str, *, fraction: float | None = None) -> None:
    report("template", message, image=fit.image.k8s_version, fraction=fraction)
