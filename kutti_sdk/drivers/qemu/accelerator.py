"""Which accelerator really works here.

That /dev/kvm opens says little: nested and restricted machines offer it and
then hang or abort a guest's kernel. So a real kernel is booted under a
deadline, and what came of it is remembered.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import CorruptStateError, DriverUnavailableError, HypervisorError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import MiB
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.drivers.qemu.machine import base_arguments
from kutti_sdk.runtime import processes, state
from kutti_sdk.runtime.directories import cache_dir
from kutti_sdk.runtime.locks import locked

OVERRIDE_VARIABLE = "KUTTI_QEMU_ACCEL"
"""Environment variable that names the accelerator to use without a probe."""

EMULATION = "tcg"
"""Software emulation: always works, and is several times slower."""

DEADLINE = 8.0
"""Seconds a kernel may take to boot under an accelerator; emulation takes 3 to 5."""

KVM = Path("/dev/kvm")
"""What the kernel of Linux offers for hardware virtualization."""

_MEMORY = 256 * MiB
_CANDIDATES = {"linux": ("kvm",), "darwin": ("hvf",), "win32": ("whpx",)}
_KNOWN = ("kvm", "hvf", "whpx", EMULATION)

# A kernel without a root file system gets this far when everything of its own
# works: interrupts, timers, memory, and the switch to its last phase.
_END_OF_BOOT = "Unable to mount root fs"


@dataclass(frozen=True, slots=True)
class ProbeResults:
    """What was found out, by what was probed.

    Attributes:
        working: Whether an accelerator works, by `_key`.
    """

    working: dict[str, bool] = field(default_factory=dict)


async def choose_accelerator(qemu: Qemu, kernel: Path | None) -> str:
    """Choose the fastest accelerator that boots a kernel here.

    Args:
        qemu: The QEMU of this machine.
        kernel: The kernel that is to run, uncompressed or bzImage; None when it is
            inside of a disk, then one of this machine is tried.

    Returns:
        The accelerator's name for QEMU.

    Raises:
        DriverUnavailableError: When the environment names one that QEMU does not know.
    """
    named = os.environ.get(OVERRIDE_VARIABLE)
    if named:
        if named not in _KNOWN:
            raise DriverUnavailableError(
                f"{OVERRIDE_VARIABLE} names {named!r}, which is no accelerator",
                hint=f"Use one of {', '.join(_KNOWN)}.",
                driver="qemu",
            )
        return named
    kernel = kernel or await anyio.to_thread.run_sync(own_kernel)
    if kernel is None:
        return EMULATION
    for candidate in candidates():
        if is_offered(candidate) and await _works(qemu, candidate, kernel):
            return candidate
    return EMULATION


def candidates() -> tuple[str, ...]:
    """Tell which accelerators there are for this system, the fastest first.

    Returns:
        Their names for QEMU.
    """
    return _CANDIDATES.get(sys.platform, ())


def is_offered(accelerator: str) -> bool:
    """Tell whether this machine lets this user try an accelerator.

    Args:
        accelerator: Its name.

    Returns:
        False when a probe would be in vain.
    """
    return accelerator != "kvm" or os.access(KVM, os.R_OK | os.W_OK)


def own_kernel() -> Path | None:
    """Find a kernel of this machine to probe with.

    Returns:
        The newest one that this user can read; None when there is none.
    """
    boot = Path("/boot")
    kernels = sorted(boot.glob("vmlinuz-*")) if boot.is_dir() else []
    return next((kernel for kernel in reversed(kernels) if os.access(kernel, os.R_OK)), None)


async def recall(qemu: Qemu, accelerator: str, kernel: Path) -> bool | None:
    """Tell what came of a probe before.

    Args:
        qemu: The QEMU of this machine.
        accelerator: Name of the accelerator.
        kernel: The kernel.

    Returns:
        Whether it worked; None when nobody has tried, or nobody remembers.
    """
    try:
        results = await state.load(_memory(), ProbeResults) or ProbeResults()
        return results.working.get(_key(qemu, accelerator, kernel))
    except (CorruptStateError, FileNotFoundError):  # the second: the kernel was removed
        return None


async def _works(qemu: Qemu, accelerator: str, kernel: Path) -> bool:
    path = _memory()
    async with locked(path.with_suffix(".lock")):
        try:
            results = await state.load(path, ProbeResults) or ProbeResults()
        except CorruptStateError:  # a cache; it is found out again
            results = ProbeResults()
        key = _key(qemu, accelerator, kernel)
        if key not in results.working:
            report("accelerator", f"trying whether {accelerator} works here")
            results.working[key] = await probe(qemu, accelerator, kernel)
            await state.save(path, results)
        return results.working[key]


async def probe(qemu: Qemu, accelerator: str, kernel: Path) -> bool:
    """Boot a kernel under an accelerator, without disk and devices.

    Args:
        qemu: The QEMU of this machine.
        accelerator: Name of the accelerator.
        kernel: The kernel.

    Returns:
        Whether it got through its whole boot within `DEADLINE`.
    """
    with tempfile.TemporaryDirectory(prefix="kutti-probe-") as folder:
        console = Path(folder) / "console"
        command = [
            qemu.system,
            *base_arguments(accelerator, memory=_MEMORY),
            *("-m", f"{_MEMORY // MiB}M", "-no-reboot"),
            *("-serial", f"file:{console}"),
            *("-kernel", str(kernel)),
            *("-append", "console=ttyS0 panic=-1 root=/dev/none"),
        ]
        try:
            # With panic=-1 and -no-reboot QEMU ends when the kernel is through.
            # One that hangs outlives us if we are killed; the next probe ends it.
            await processes.run_alone(command, mark=str(_memory()), timeout=DEADLINE)
        except HypervisorError:
            return False
        text = await anyio.Path(console).read_text(errors="replace")
    return _END_OF_BOOT in text


def _memory() -> Path:
    return cache_dir() / "qemu-accelerators.json"


def _key(qemu: Qemu, accelerator: str, kernel: Path) -> str:
    status = kernel.stat()
    version = ".".join(map(str, qemu.version))
    return "|".join(
        (
            *(accelerator, qemu.system, version, platform.release()),
            *(str(kernel), str(status.st_size), str(status.st_mtime_ns)),
        )
    )
