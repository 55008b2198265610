"""Under what a host runs, and whether a saved one can go on here."""

from __future__ import annotations

import platform
from pathlib import Path

import anyio.to_thread
import psutil

from kutti_sdk.core.errors import CheckpointMismatchError, HostNotRunningError
from kutti_sdk.drivers.qemu.accelerator import choose_accelerator
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.machine import CPU_MODELS, cpu_model
from kutti_sdk.drivers.qemu.qmp import Monitor
from kutti_sdk.drivers.qemu.resume import Conditions
from kutti_sdk.runtime.processes import ProcessIdentity

_TYPE_SUFFIX = "-machine"  # of the names of machine types among QEMU's objects


async def conditions_of(qemu: Monitor, identity: ProcessIdentity) -> Conditions:
    """Ask a running host's QEMU what it is.

    Args:
        qemu: Its monitor.
        identity: Its process.

    Returns:
        The conditions that it runs under.

    Raises:
        HostNotRunningError: When it ended meanwhile.
    """
    version = (await qemu.execute("query-version"))["qemu"]
    machine = await qemu.execute("qom-get", path="/machine", property="type")
    try:
        command = await anyio.to_thread.run_sync(psutil.Process(identity.pid).cmdline)
    except psutil.Error as error:
        raise HostNotRunningError("a host stopped while it was to be saved") from error
    accelerator = _value(command, "-accel").partition(",")[0]
    return Conditions(
        qemu=(version["major"], version["minor"], version["micro"]),
        machine=machine.removesuffix(_TYPE_SUFFIX),
        accelerator=accelerator,
        cpu=_value(command, "-cpu"),
        processor=await _processor(accelerator),
    )


async def processor_name() -> str:
    """Name the processor of this machine.

    Returns:
        The name, as its maker writes it.
    """
    return await anyio.to_thread.run_sync(_read_processor_name)


async def refuse_mismatch(saved: Conditions, qemu: Qemu, kernel: Path | None) -> None:
    """Make sure that what was saved can go on here.

    Args:
        saved: Under what it was saved.
        qemu: The QEMU of this machine.
        kernel: Kernel of the hosts' image, if it is booted directly.

    Raises:
        CheckpointMismatchError: When it cannot; tells what differs.
    """
    accelerator = await choose_accelerator(qemu, kernel)
    checks = (
        ("QEMU", _dotted(saved.qemu), _dotted(qemu.version), saved.qemu <= qemu.version),
        ("accelerator", saved.accelerator, accelerator, saved.accelerator == accelerator),
        ("CPU model", saved.cpu, cpu_model(accelerator), saved.cpu == cpu_model(accelerator)),
    )
    for what, before, now, fits in checks:
        if not fits:
            raise _mismatch(what, before, now)
    processor = await _processor(accelerator)
    if saved.processor != processor:
        raise _mismatch("processor", saved.processor, processor)


def _mismatch(what: str, before: str, now: str) -> CheckpointMismatchError:
    return CheckpointMismatchError(
        f"the hosts were saved with {what} {before}, and here it is {now}",
        hint="It can be used where all is as it was, or QEMU newer.",
        driver="qemu",
    )


async def _processor(accelerator: str) -> str:
    """Name the processor of this machine, where hosts see it as it is."""
    if accelerator in CPU_MODELS:
        return ""
    return await processor_name()


def _read_processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _value(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
