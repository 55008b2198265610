"""This machine: disk space, memory, and programs that are good to have."""

from __future__ import annotations

import shutil

import anyio.to_thread
import psutil

from kutti_sdk.core.findings import Finding, note, ok, problem
from kutti_sdk.core.sizes import GiB, MiB, format_size
from kutti_sdk.images.builder.programs import missing_packages
from kutti_sdk.runtime.directories import cache_dir, data_dir

_FULL = 256 * MiB  # of disk space; a host's first boot may not have room
_NEARLY_FULL = 4 * GiB  # building an image or fetching one with Kubernetes needs that
_LITTLE_MEMORY = 1 * GiB  # a small host, and QEMU itself


async def look() -> list[Finding]:
    """Look at this machine.

    Returns:
        What was found.
    """
    return await anyio.to_thread.run_sync(lambda: [*_disks(), _memory(), *_programs()])


def _disks() -> list[Finding]:
    folders = dict.fromkeys((data_dir(), cache_dir()))
    disks = {folder.stat().st_dev: folder for folder in folders}
    findings = []
    for folder in disks.values():
        free = shutil.disk_usage(folder).free
        message = f"{format_size(free)} are free for {folder}"
        advice = "Make room there, or set another workspace; `image prune` shows unused images."
        if free < _FULL:
            findings.append(problem("disk space", message, advice))
        elif free < _NEARLY_FULL:
            findings.append(note("disk space", message, advice))
        else:
            findings.append(ok("disk space", message))
    return findings


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    message = f"{format_size(memory.available)} of {format_size(memory.total)} are left"
    if memory.available < _LITTLE_MEMORY:
        return note("memory", message, "Stop hosts or programs before you start more hosts.")
    return ok("memory", message)


def _programs() -> list[Finding]:
    findings = []
    if shutil.which("kubectl") is None:
        findings.append(
            note(
                "programs",
                "there is no kubectl here",
                "Cluster.kubectl() runs the control plane's; install one for your own terminal.",
            )
        )
    missing = missing_packages()
    if missing:
        findings.append(
            note(
                "programs",
                f"images cannot be built here without {', '.join(missing)}",
                "Fetch or import images, or install these packages.",
            )
        )
    return findings or [ok("programs", "kubectl and all that builds images are here")]
