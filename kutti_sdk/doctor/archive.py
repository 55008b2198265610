"""Everything that helps to find a fault from afar, in one file, without secrets.

Only files that a driver names, records of clusters and settings go in. Each text passes
through `redaction`; files that are made of secrets are not even opened.
"""

from __future__ import annotations

import io
import os
import platform
import stat
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import anyio.to_thread

from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.core.findings import Diagnosable
from kutti_sdk.core.plain_text import decoded
from kutti_sdk.doctor.redaction import without_secrets
from kutti_sdk.runtime.directories import (
    cache_dir,
    config_dir,
    data_dir,
    runtime_path,
    workspace,
)
from kutti_sdk.runtime.state import write_bytes

_TAIL = 1024 * 1024  # bytes at the end of each file; consoles grow without a limit
_TOP = "kutti-logs"  # folder in the archive
_OTHERS = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE", "KUBECONFIG")


async def write_archive(path: Path, findings: str, drivers: Sequence[VMDriver]) -> Path:
    """Write the archive.

    Args:
        path: Where; there must be no such file.
        findings: What was found, as text.
        drivers: Whose logs are wanted.

    Returns:
        The file.

    Raises:
        InvalidInputError: When there is such a file.
        StateError: When it cannot be written.
    """
    if await anyio.Path(path).exists():
        raise InvalidInputError(f"{path} is there already", hint="Choose another name.")
    logs = [
        log
        for driver in drivers
        if isinstance(driver, Diagnosable)
        for log in await driver.log_files()
    ]
    return await anyio.to_thread.run_sync(_write, path, findings, logs)


def _write(path: Path, findings: str, logs: list[Path]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        _add(archive, "findings.txt", findings)
        _add(archive, "versions.txt", "\n".join(_versions()))
        _add(archive, "settings.txt", "\n".join(_settings()))
        _add(archive, "files.txt", "\n".join(_listing()))
        for name, file in _files(logs):
            _add(archive, name, _end_of(file))
    write_bytes(path, buffer.getvalue())
    return path


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = without_secrets(text).encode(errors="replace")
    member = tarfile.TarInfo(f"{_TOP}/{name}")
    member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
    archive.addfile(member, io.BytesIO(content))


def _versions() -> Iterator[str]:
    yield f"kutti_sdk {version('kutti_sdk')}"
    yield f"Python {sys.version}"
    yield platform.platform()
    for requirement in requires("kutti_sdk") or ():
        if "extra ==" in requirement:
            continue
        name = requirement.partition(";")[0].split(">=")[0].strip()
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def _settings() -> Iterator[str]:
    yield f"workspace: {workspace()}"
    for name, folder in _roots():
        yield f"{name}: {folder}"
    for name, value in sorted(os.environ.items()):
        if name.startswith("KUTTI_") or name.lower() in map(str.lower, _OTHERS):
            yield f"{name}={value}"


def _listing() -> Iterator[str]:
    for name, root in _roots():
        for path in sorted(root.rglob("*")):
            try:
                status = path.lstat()
            except OSError:  # it went away while we looked
                continue
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(status.st_mtime))
            mode = stat.filemode(status.st_mode)
            yield f"{mode} {status.st_size:>12} {when} {name}/{path.relative_to(root)}"


def _files(logs: list[Path]) -> Iterator[tuple[str, Path]]:
    """Give the files to take along, and their names in the archive."""
    settings = sorted(config_dir().glob("*.toml"))
    clusters = sorted((data_dir() / "clusters").glob("*.json"))
    probes = sorted(cache_dir().glob("*.json"))
    for file in (*settings, *clusters, *probes, *logs):
        for name, root in _roots():
            if file.is_relative_to(root) and file.is_file() and not file.is_symlink():
                yield f"{name}/{file.relative_to(root)}", file


def _roots() -> tuple[tuple[str, Path], ...]:
    return (
        ("data", data_dir()),
        ("config", config_dir()),
        ("cache", cache_dir()),
        ("run", runtime_path()),
    )


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = decoded(file.read())
    except OSError as error:
        return f"cannot be read: {error}"
    # The first line has lost its beginning, and with it the word that tells a secret.
    return text if size <= _TAIL else f"(its end)\n{text.partition(chr(10))[2]}"
