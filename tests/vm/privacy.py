"""What another user of this machine could see of a cluster that runs."""

from __future__ import annotations

import os
import stat
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

import psutil

LONG_ENOUGH = 40  # characters of a secret that are looked for


def open_to_others(workspace: Path, cluster: str) -> list[str]:
    """Files, folders and sockets of a cluster that others may read, write or pass through."""
    found = [*(workspace / "run").rglob("*")]
    for path in (workspace / "data").rglob("*"):
        if cluster in str(path.relative_to(workspace)):
            found.append(path)
    assert any(path.is_socket() for path in found)
    return [
        f"{path} {stat.filemode(path.lstat().st_mode)}"
        for path in (workspace / "data", workspace / "run", *found)
        # QEMU lets the group read and write its sockets when it goes into the background.
        # Nobody of the group comes so far: the folders are closed to it.
        if stat.S_IMODE(path.lstat().st_mode) & (0o077 if path.is_dir() else 0o007)
    ]


def secrets_of(workspace: Path, cluster: str) -> list[bytes]:
    """Pieces of the private keys of a cluster, as they are and as they are told to hosts."""
    key = (workspace / "data" / "keys" / cluster / "id_ed25519").read_bytes()
    secrets = [key.splitlines()[3][:LONG_ENOUGH]]
    networks = workspace / "data" / "qemu" / "networks"
    for identity in networks.glob(f"*/hosts/{cluster}/*/identity"):
        credential = identity.read_bytes().partition(b"=")[2]
        (line,) = (line for line in b64decode(credential).splitlines() if b"_key 0600" in line)
        host_key = b64decode(line.split()[-1])
        secrets += [credential[:LONG_ENOUGH], line.split()[-1][200:][:LONG_ENOUGH]]
        secrets += [host_key.splitlines()[3][:LONG_ENOUGH]]
    assert len(secrets) > 1
    return secrets


def places_of_secrets(workspace: Path, cluster: str) -> list[str]:
    """Command lines, environments and logs in which such a piece is found."""
    texts: dict[str, bytes] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            if os.fsencode(workspace) in line:
                texts[f"command line of {process.name()}"] = line
                environment = Path(f"/proc/{process.pid}/environ").read_bytes()
                texts[f"environment of {process.name()}"] = environment
    assert texts
    for log in (workspace / "data").rglob("*.log"):
        texts[str(log)] = log.read_bytes()
    secrets = secrets_of(workspace, cluster)
    return [where for where, text in texts.items() if any(it in text for it in secrets)]


def listeners(workspace: Path) -> set[str]:
    """Addresses on which the processes of a workspace listen."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(workspace) in " ".join(process.cmdline()):
                connections = process.net_connections("inet")
                found |= {it.laddr.ip for it in connections if it.status == psutil.CONN_LISTEN}
    return found
