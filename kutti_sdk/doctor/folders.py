"""Our folders: who else may use them, and what killed writers left in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.findings import Finding, note, ok, problem
from kutti_sdk.runtime.directories import (
    cache_dir,
    config_dir,
    data_dir,
    runtime_dir,
    runtime_path,
)
from kutti_sdk.runtime.rights import CHANGE, READ_OR_CHANGE, close_to_others, open_to_others
from kutti_sdk.runtime.state import is_abandoned

_BESIDE = re.compile(r"\..+\.[0-9a-f]{8}\.new")  # as `runtime.state` calls what it writes


async def look() -> list[Finding]:
    """Look at the four folders.

    Returns:
        What was found.
    """
    return await anyio.to_thread.run_sync(_look)


def _look() -> list[Finding]:
    findings = []
    for paths, rights, verb in (
        ((runtime_path(), data_dir(), config_dir(), *_secrets()), READ_OR_CHANGE, "use"),
        ((cache_dir(), cache_dir() / "images"), CHANGE, "change"),
    ):
        exposed = open_to_others(paths, rights=rights)
        if exposed:
            findings.append(
                problem(
                    "rights",
                    f"others may {verb} {_listed(exposed)}",
                    "Take the rights away with chmod.",
                    mend=partial(_close, exposed, rights),
                )
            )
    if not findings:
        runtime_dir()  # refuses one of somebody else, and a link
    left = list(_half_written())
    if left:
        findings.append(
            note(
                "state files",
                f"writers that were killed left {_listed(left)}",
                "They do no harm; the next writer removes them.",
                mend=_remove_half_written,
            )
        )
    return findings or [ok("folders", "for this user alone, and nothing is half written")]


def _secrets() -> Iterator[Path]:
    keys = data_dir() / "keys"
    yield keys
    yield from keys.glob("*")
    yield from keys.glob("*/*")
    yield from (data_dir() / "clusters").glob("*.kubeconfig")


async def _close(exposed: list[Path], rights: int) -> str:
    changed = await anyio.to_thread.run_sync(partial(close_to_others, exposed, rights=rights))
    return f"took the rights of others from {_listed(changed)}"


def _half_written() -> Iterator[Path]:
    # Images have no state files, and thousands of other files.
    for root in (data_dir(), config_dir()):
        for path in root.rglob(".*.new"):
            with suppress(OSError):  # somebody else removed it
                if _BESIDE.fullmatch(path.name) and is_abandoned(path):
                    yield path


async def _remove_half_written() -> str:
    return await anyio.to_thread.run_sync(_remove_all_half_written)


def _remove_all_half_written() -> str:
    left = list(_half_written())
    for path in left:
        path.unlink(missing_ok=True)
    return f"removed {_listed(left)}"


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))
