"""QEMU itself: whether it is here, what it can, and how fast it is."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import DriverUnavailableError
from kutti_sdk.core.findings import Finding, note, ok, problem
from kutti_sdk.drivers.qemu import accelerator
from kutti_sdk.drivers.qemu.binaries import Qemu, find_qemu
from kutti_sdk.drivers.qemu.features import missing_features
from kutti_sdk.images.qemu_programs import install_line
from kutti_sdk.images.store import local_images

_ACCELERATION = "acceleration"


async def look() -> list[Finding]:
    """Look at QEMU.

    Returns:
        What was found.
    """
    try:
        qemu = await find_qemu()
    except DriverUnavailableError as error:
        return [problem("QEMU", error.message, error.hint or "")]
    version = ".".join(map(str, qemu.version))
    missing = await missing_features(qemu)
    if missing:
        return [
            problem(
                "QEMU",
                f"QEMU {version}, {qemu.system}, was built without {', '.join(missing)}",
                f"Run: {install_line()}",
            )
        ]
    return [ok("QEMU", f"QEMU {version}, {qemu.system}"), await _acceleration(qemu)]


async def _acceleration(qemu: Qemu) -> Finding:
    named = os.environ.get(accelerator.OVERRIDE_VARIABLE)
    if named:
        try:
            await accelerator.choose_accelerator(qemu, None)
        except DriverUnavailableError as error:
            return problem(_ACCELERATION, error.message, error.hint or "")
        return note(
            _ACCELERATION,
            f"{accelerator.OVERRIDE_VARIABLE} names {named}; nothing is tried",
            "Unset it to have the fastest accelerator that works chosen.",
        )
    kernels = [image.kernel for image in await local_images() if image.kernel is not None]
    own = await anyio.to_thread.run_sync(accelerator.own_kernel)
    if own is not None:
        kernels.append(own)
    refusals = []
    for candidate in accelerator.candidates():
        if not accelerator.is_offered(candidate):
            refusals.append(_not_offered(candidate))
            continue
        tried = [await accelerator.recall(qemu, candidate, kernel) for kernel in kernels]
        if any(tried):
            return ok(_ACCELERATION, f"{candidate} works: it booted a kernel here")
        if False not in tried:
            return note(
                _ACCELERATION,
                f"{candidate} is offered, and was not tried yet",
                "The first start of a host boots a kernel with it, and takes it when that works.",
            )
        refusals.append(
            (
                f"{candidate} is offered, and booted no kernel in {accelerator.DEADLINE:g} s",
                "This machine is itself a virtual one, perhaps, without nested virtualization.",
            )
        )
    reasons = "; ".join(reason for reason, _ in refusals) or "there is no accelerator"
    advice = " ".join(advice for _, advice in refusals)
    return note(_ACCELERATION, f"hosts are emulated, several times slower: {reasons}", advice)


def _not_offered(candidate: str) -> tuple[str, str]:
    device: Path = accelerator.KVM
    if not device.exists():
        return (
            f"there is no {device}",
            "Switch virtualization on in the firmware, or nested in what runs this machine.",
        )
    return (
        f"{candidate} is there, but this user may not use {device}",
        'Run: sudo usermod -aG kvm "$USER", and log in again.',
    )
