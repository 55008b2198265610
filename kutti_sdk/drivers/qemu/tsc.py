"""Gives emulated guests a fast clock: the processor's time stamp counter.

Without help, a guest under TCG does not trust the counter and reads the emulated
HPET instead, thousands of times a second: ``kubeadm init`` took three times as
long. TCG passes the counter of this machine through, so what the kernel must be
told is its frequency; when it measures that itself, its clock runs wild.

The kernel of this machine knows the frequency, and tells nobody. So it is measured:
the counter is read twice, with 20 ms between. Linux on x86-64 only, and only where
this machine's own kernel trusts the counter (a steady one, the same on all CPUs).
"""

from __future__ import annotations

import ctypes
import mmap
import time
from functools import cache
from pathlib import Path

import anyio.to_thread

_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
_ATTEMPTS = 20  # of which the one counts that was least disturbed
_MEASURED = 0.02  # seconds; precise to a few parts in a million


async def clock_arguments(accelerator: str) -> str:
    """Give the kernel arguments that make a guest use the time stamp counter.

    Args:
        accelerator: Name of the guest's accelerator.

    Returns:
        The arguments; empty where the guest finds a good clock by itself, or this
        machine has none to pass through.
    """
    if accelerator != "tcg":
        return ""
    frequency = await anyio.to_thread.run_sync(_frequency)
    if frequency is None:
        return ""
    return f"tsc=reliable clocksource=tsc tsc_early_khz={frequency}"


@cache
def _frequency() -> int | None:
    """Measure the frequency of the counter in kHz; None where that makes no sense."""
    try:
        if _CLOCK_SOURCE.read_text().strip() != "tsc":
            return None
        return round(_measured_hertz() / 1000)
    except (OSError, AttributeError):  # another system, or one that forbids new code
        return None


def _measured_hertz() -> float:
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=protection)
    memory.write(_RDTSC)
    # Its memory is given back with the function, which refers to it.
    place = ctypes.c_char.from_buffer(memory)
    read_counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))

    def read() -> tuple[int, int]:
        """Read the clock in nanoseconds and the counter, as close together as can be."""
        attempts = []
        for _ in range(_ATTEMPTS):
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            ticks = read_counter()
            after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            attempts.append((after - before, (before + after) // 2, ticks))
        return min(attempts)[1:]

    began, first = read()
    time.sleep(_MEASURED)
    ended, last = read()
    return (last - first) * 1e9 / (ended - began)
