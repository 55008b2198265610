"""Who is at work: locks that are held, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.errors import StateError
from kutti_sdk.core.findings import Finding, note, ok
from kutti_sdk.runtime.directories import cache_dir, config_dir, data_dir, runtime_dir
from kutti_sdk.runtime.locks import holder


async def look() -> list[Finding]:
    """Look at all lock files. One that nobody holds is nothing: the kernel releases locks.

    Returns:
        Those that are held.
    """
    held = [
        note("locks", f"{path.name} is held by {who}", "Wait until that has ended, or end it.")
        for path in await anyio.to_thread.run_sync(lambda: list(_lock_files()))
        if (who := holder(path)) is not None
    ]
    return held or [ok("locks", "nobody holds one")]


def _lock_files() -> Iterator[Path]:
    roots = [data_dir(), cache_dir(), config_dir()]
    try:
        roots.append(runtime_dir())
    except StateError:  # told already, by who looked at the folders
        pass
    for root in roots:
        yield from sorted(root.rglob("*.lock"))
