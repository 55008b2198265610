"""Images on this machine, and files of hosts that nobody else may read."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.findings import Finding, note, ok, problem
from kutti_sdk.core.image import ImageCopy
from kutti_sdk.core.sizes import format_size
from kutti_sdk.core.status import CopyStatus
from kutti_sdk.drivers.qemu import images, records
from kutti_sdk.images import incoming
from kutti_sdk.runtime.rights import close_to_others, open_to_others

_IMAGES = "images"
_PRUNE = "`image prune` removes it when no host uses it."


async def look() -> list[Finding]:
    """Look at images and at secrets.

    Returns:
        What was found.
    """
    return [*await _images(), *await _secrets()]


async def _images() -> list[Finding]:
    copies = await images.copies()
    whole = [copy for copy in copies if copy.status is CopyStatus.COMPLETE]
    findings = [_damaged(copy) for copy in copies if copy.status is CopyStatus.DAMAGED]
    interrupted = [copy for copy in copies if copy.status is CopyStatus.INTERRUPTED]
    partial = [copy for copy in interrupted if copy.checksum]
    left = [copy for copy in interrupted if not copy.checksum]
    if partial:
        findings.append(
            note(
                _IMAGES,
                f"{len(partial)} downloads are not complete, {_size(partial)} are here",
                "The next fetch() goes on with them; `image prune` removes them.",
            )
        )
    if left:
        findings.append(
            note(
                _IMAGES,
                f"killed downloads, builds or imports left {len(left)} folders, {_size(left)}",
                "They are removed when the next image is fetched, built or imported.",
                mend=_sweep,
            )
        )
    if not whole:
        findings.append(
            note(_IMAGES, "there is none on this machine", "Build, fetch or import one.")
        )
    elif not findings:
        findings.append(
            ok(
                _IMAGES,
                f"{len(whole)} images are whole by their sizes; "
                "`image verify` reads every byte of them",
            )
        )
    return findings


def _damaged(copy: ImageCopy) -> Finding:
    message = f"image {copy.k8s_version or copy.checksum[:12]} is damaged: {copy.problem}"
    if not copy.used_by:
        return problem(_IMAGES, message, f"{_PRUNE} Then fetch, build or import it again.")
    return problem(
        _IMAGES,
        f"{message}; the disks of {', '.join(copy.used_by)} need it",
        f"Fetch or import the very image with checksum {copy.checksum}.",
    )


def _size(copies: list[ImageCopy]) -> str:
    return format_size(sum(copy.size for copy in copies))


async def _sweep() -> str:
    await incoming.sweep()
    return "removed what killed downloads, builds and imports left"


async def _secrets() -> list[Finding]:
    secrets = [
        path
        for host in await records.load_hosts()
        for path in (host.files.identity, host.files.enrolment)
    ]
    exposed = await anyio.to_thread.run_sync(open_to_others, secrets)
    if not exposed:
        return []
    return [
        problem(
            "rights",
            f"others may read the keys of hosts: {', '.join(map(str, exposed))}",
            "Take the rights away: chmod 600.",
            mend=lambda: _close(exposed),
        )
    ]


async def _close(exposed: list[Path]) -> str:
    changed = await anyio.to_thread.run_sync(close_to_others, exposed)
    return f"took the rights of others from {', '.join(map(str, changed))}"
