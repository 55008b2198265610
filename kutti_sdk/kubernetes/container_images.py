"""Brings image archives to nodes, only where they are missing.

An image is told by a digest and not by its name, which may have stood for something
else before: by that of its configuration, which an archive of Docker names, or of
the descriptor in an OCI archive, which is what containerd keeps.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import ImageFormatError
from kutti_sdk.core.events import report
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.phases import LOAD

_XZ = b"\xfd7zXZ\x00"
_LARGEST_INDEX = 4 * 1024 * 1024

# For each image: name, digest of what the name stands for, and that of the
# configuration, where the first is a manifest that is here.
_WHAT_IS_THERE = """\
ctr --namespace k8s.io images list | while read -r name type digest rest; do
    case "$digest" in sha256:*) ;; *) continue ;; esac
    config=$(ctr --namespace k8s.io content get "$digest" 2>/dev/null |
        tr -d ' \\n\\t' | sed -n 's/.*"config":{[^}]*"digest":"\\([^"]*\\)".*/\\1/p')
    echo "$name $digest $config"
done
"""


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image in an archive.

    Attributes:
        name: Its whole name: ``docker.io/library/app:1``.
        digests: Digests, one of which a node that has it shows.
    """

    name: str
    digests: frozenset[str]


async def read_archive(path: Path) -> list[ArchivedImage]:
    """Read which images are in an archive of Docker or OCI.

    Args:
        path: The archive; may be compressed by gzip or xz.

    Returns:
        The images that have a name.

    Raises:
        ImageFormatError: When it is neither, or none of its images has a name.
    """
    try:
        images = await anyio.to_thread.run_sync(_read_archive, path)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, LookupError, TypeError) as error:
        raise _no_archive(path, str(error)) from error
    except (msgspec.DecodeError, AttributeError, ValueError) as error:
        raise _no_archive(path, f"its index does not parse: {error}") from error
    if not images:
        raise _no_archive(path, "none of its images has a name")
    return images


@asynccontextmanager
async def importable(path: Path) -> AsyncIterator[Path]:
    """Give an archive in a form that containerd reads, which xz is not.

    Args:
        path: The archive.

    Yields:
        The archive itself, or one without compression that is removed afterwards.
    """
    with path.open("rb") as file:
        is_xz = file.read(len(_XZ)) == _XZ
    if not is_xz:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kutti-") as folder:
        plain = Path(folder) / path.with_suffix("").name
        await anyio.to_thread.run_sync(_decompress, path, plain)
        yield plain


async def missing_images(guest: Guest, images: list[ArchivedImage]) -> list[ArchivedImage]:
    """Ask a node which images it does not have.

    Args:
        guest: The node.
        images: The images.

    Returns:
        Those that are not there, or stand for something else there.

    Raises:
        KubernetesError: When its container runtime does not answer.
    """
    lines = (await guest.do("container images", _WHAT_IS_THERE, phase=LOAD)).splitlines()
    there = {words[0]: set(words[1:]) for words in map(str.split, lines) if words}
    return [image for image in images if not image.digests & there.get(image.name, set())]


async def load_archive(guest: Guest, archive: Path, images: list[ArchivedImage]) -> bool:
    """Bring an archive's images to a node, unless it has all of them.

    Args:
        guest: The node.
        archive: The archive, in a form that containerd reads.
        images: What is in it.

    Returns:
        Whether anything was missing.

    Raises:
        FileTransferError: When it could not be copied.
        KubernetesError: When the container runtime refuses it.
    """
    names = ", ".join(image.name for image in images)
    if not await missing_images(guest, images):
        _tell(guest, f"{guest.name} has {names}")
        return False
    # A folder that only root may enter, and a name that no other has.
    folder = (await guest.do("scratch folder", _SCRATCH, phase=LOAD)).strip()
    remote = f"{folder}/archive.tar"
    try:
        await guest.ssh.put(guest.address, archive, remote)
        _tell(guest, f"importing {names} on {guest.name}")
        await guest.do(
            "import images", f"ctr --namespace k8s.io images import {remote}\n", phase=LOAD
        )
    finally:
        with anyio.move_on_after(_CLEAN_UP_TIME, shield=True):
            await guest.run("remove scratch folder", f"rm -rf {folder}\n")
    _tell(guest, f"{guest.name} has {names}")
    return True


_CLEAN_UP_TIME = 10.0  # seconds

_SCRATCH = f"""\
mkdir -p {FOLDER}
folder=$(mktemp --directory {FOLDER}/images.XXXXXXXX) && chown "${{SUDO_USER:-root}}" "$folder"
chmod 755 {FOLDER} && echo "$folder"
"""


def _tell(guest: Guest, message: str) -> None:
    report(LOAD, message, cluster=guest.cluster, host=guest.name)


def _read_archive(path: Path) -> list[ArchivedImage]:
    found: dict[str, Any] = {}
    with tarfile.open(path, "r:*") as archive:  # only read, never unpacked
        for member in archive:
            name = member.name.removeprefix("./")
            if name in ("manifest.json", "index.json") and member.size <= _LARGEST_INDEX:
                content = archive.extractfile(member)
                if content is not None:
                    found[name] = msgspec.json.decode(content.read())
    if not found:
        raise LookupError("it has neither a manifest.json nor an index.json")
    digests: dict[str, set[str]] = {}
    for image in found.get("manifest.json", ()):
        config = Path(image["Config"]).name.removesuffix(".json")
        for tag in image.get("RepoTags") or ():
            digests.setdefault(whole_name(tag), set()).add(f"sha256:{config}")
    for descriptor in found.get("index.json", {}).get("manifests", ()):
        notes = descriptor.get("annotations") or {}
        named = notes.get("io.containerd.image.name") or notes.get(
            "org.opencontainers.image.ref.name", ""
        )
        if ":" in named:  # else a bare tag, which says nothing without a name
            digests.setdefault(whole_name(named), set()).add(descriptor["digest"])
    return [ArchivedImage(name, frozenset(known)) for name, known in digests.items()]


def whole_name(name: str) -> str:
    """Spell an image's name out, as containerd keeps it.

    Args:
        name: ``app``, ``app:1``, ``kutti.local/app:1`` ...

    Returns:
        The name with registry and tag.
    """
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def _decompress(path: Path, plain: Path) -> None:
    with lzma.open(path) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)


def _no_archive(path: Path, why: str) -> ImageFormatError:
    return ImageFormatError(
        f"{path} is not an archive of container images: {why}",
        hint='Write one with "docker save", "podman save" or "ctr images export".',
    )
