"""Whether this QEMU was built with all that the driver uses.

Distributions leave parts out: user-mode networking (libslirp) above all, and the sandbox.
"""

from __future__ import annotations

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.drivers.qemu.binaries import Qemu
from kutti_sdk.runtime import processes

_NETWORK_BACKENDS = ("stream", "user", "hubport")
_DEVICES = (
    "virtio-blk-pci",
    "virtio-net-pci",
    "virtio-rng-pci",
    "virtio-serial-pci",
    "virtserialport",
)
_TIMEOUT = 20.0  # seconds; it takes a tenth of one


async def missing_features(qemu: Qemu) -> list[str]:
    """Ask QEMU what it has, and tell what the driver misses.

    Args:
        qemu: The QEMU of this machine; each one is asked once.

    Returns:
        What is missing, as it is called on QEMU's command line.
    """
    if qemu not in _missing:
        _missing[qemu] = await _ask(qemu)
    return _missing[qemu]


_missing: dict[Qemu, list[str]] = {}


async def _ask(qemu: Qemu) -> list[str]:
    ask = [qemu.system, "-machine", "none"]
    backends = await processes.run([*ask, "-netdev", "help"], timeout=_TIMEOUT)
    devices = await processes.run([*ask, "-device", "help"], timeout=_TIMEOUT)
    missing = [f"-netdev {name}" for name in _NETWORK_BACKENDS if name not in backends.split()]
    missing += [f"-device {name}" for name in _DEVICES if f'name "{name}"' not in devices]
    try:
        await processes.run([*ask, "-sandbox", "on", "-netdev", "help"], timeout=_TIMEOUT)
    except HypervisorError:
        missing.append("-sandbox on")
    return missing
