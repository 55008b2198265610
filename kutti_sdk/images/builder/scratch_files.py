"""Files of the caller, copied into a build's scratch folder.

That folder belongs to another user, who may not be able to read the caller's
files: they go through the caller's hands, as one tar archive.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import anyio.to_thread

from kutti_sdk.images.builder.namespace import UserNamespace


async def put_files(
    namespace: UserNamespace, folder: Path, content: Mapping[str, Path | bytes]
) -> None:
    """Copy files into a folder of the namespace's root.

    Args:
        namespace: Whose folder it is.
        folder: The folder.
        content: Files of the caller's, or bytes, by their relative paths there.

    Raises:
        ImageBuildError: When they cannot be written.
    """
    with tempfile.TemporaryFile() as archive:
        await anyio.to_thread.run_sync(_pack, content, archive)
        archive.seek(0)
        await namespace.run("tar", "--extract", folder=folder, stdin=archive)


def _pack(content: Mapping[str, Path | bytes], archive: IO[bytes]) -> None:
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, source in content.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            if isinstance(source, bytes):
                entry.size = len(source)
                tar.addfile(entry, io.BytesIO(source))
            else:
                with source.open("rb") as file:
                    entry.size = source.stat().st_size
                    tar.addfile(entry, file)
