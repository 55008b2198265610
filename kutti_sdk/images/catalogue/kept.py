"""The last good list of every source, so that images are known without a network.

```
config_dir()/image-lists/ID.json           the list, byte for byte as it came
config_dir()/image-lists/ID.source.json    where it came from, and its validators
```

ID is made from the source's name. The list is written first. Whoever dies between
the two leaves validators that are of another list, which their checksum tells.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import CorruptStateError, ImageListError
from kutti_sdk.images.catalogue.schema import Catalogue, merge, parse_catalogue
from kutti_sdk.runtime.directories import config_dir
from kutti_sdk.runtime.state import load_now, write_bytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a kept list came from.

    Attributes:
        source: Its URL or file.
        sha256: Checksum of the list that this is about.
        fetched: When its source said last that it is the list, in ISO 8601.
        etag: Its ETag; None when it has none.
        last_modified: Its Last-Modified; None when it has none.
    """

    source: str
    sha256: str
    fetched: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list that was good when it came.

    Attributes:
        catalogue: What it says.
        raw: Its bytes.
        provenance: Where it came from; None when that is lost.
    """

    catalogue: Catalogue
    raw: bytes
    provenance: Provenance | None


async def load_catalogue(sources: Sequence[str]) -> Catalogue:
    """Read what was fetched last from each of several sources.

    Args:
        sources: URLs or files, the most important one first.

    Returns:
        One list; an empty one when nothing was fetched yet.
    """
    kept = [await load_kept(source) for source in sources]
    return merge(one.catalogue for one in kept if one is not None)


async def load_kept(source: str) -> KeptList | None:
    """Read what was fetched last from a source.

    Args:
        source: Its URL or file.

    Returns:
        The list; None when there is none, or a damaged one, which is logged.
    """
    return await anyio.to_thread.run_sync(_load, source)


async def keep(
    source: str, raw: bytes, *, etag: str | None = None, last_modified: str | None = None
) -> None:
    """Keep a good list, in place of the one before.

    Args:
        source: Its URL or file.
        raw: Its bytes.
        etag: Its ETag, if it has one.
        last_modified: Its Last-Modified, if it has one.

    Raises:
        StateError: When it cannot be written.
    """
    provenance = Provenance(
        source=source,
        sha256=hashlib.sha256(raw).hexdigest(),
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        etag=etag,
        last_modified=last_modified,
    )
    await anyio.to_thread.run_sync(partial(_write, raw, provenance))


def _load(source: str) -> KeptList | None:
    path, beside = _paths(source)
    try:
        raw = path.read_bytes()
        catalogue = parse_catalogue(raw)
    except FileNotFoundError:
        return None
    except (ImageListError, OSError) as error:
        _log.warning("the image list kept in %s cannot be used: %s", path, error)
        return None
    try:
        provenance = load_now(beside, Provenance)
    except CorruptStateError:
        provenance = None
    if provenance is not None and provenance.sha256 != hashlib.sha256(raw).hexdigest():
        provenance = None
    return KeptList(catalogue, raw, provenance)


def _write(raw: bytes, provenance: Provenance) -> None:
    path, beside = _paths(provenance.source)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_bytes(path, raw)
    write_bytes(beside, msgspec.json.format(msgspec.json.encode(provenance), indent=2) + b"\n")


def _paths(source: str) -> tuple[Path, Path]:
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    folder = config_dir() / "image-lists"
    return folder / f"{name}.json", folder / f"{name}.source.json"
