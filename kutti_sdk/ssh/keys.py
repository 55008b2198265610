"""Keys: one pair for each cluster to log in with, and one for each host to be known by.

They are made with `cryptography`, because loading asyncssh takes a second.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from kutti_sdk.core.errors import CorruptStateError
from kutti_sdk.core.names import validate_name
from kutti_sdk.runtime.directories import data_dir
from kutti_sdk.runtime.locks import locked
from kutti_sdk.runtime.state import write_bytes

_FILE = "id_ed25519"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair to log in with.

    Attributes:
        private_path: File of the private key, readable for this user alone.
        public_line: The public key, as a line of an authorized_keys file.
    """

    private_path: Path
    public_line: str


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key pair that an SSH server proves with that it is the expected one.

    Attributes:
        private_text: The private key in OpenSSH's format, for the server. Never shown.
        public_line: The public key, for `SSHCredentials.host_key`.
    """

    private_text: str = field(repr=False)
    public_line: str


async def cluster_key_pair(clustername: str) -> KeyPair:
    """Give the key pair of a cluster, made when it is first asked for.

    Args:
        clustername: Name of the cluster.

    Returns:
        The same key pair on every call, in every process.

    Raises:
        InvalidNameError: When the name is not a cluster's.
        CorruptStateError: When the file of the private key cannot be read as one.
    """
    folder = _folder(clustername)
    async with locked(_lock(folder)):
        return await anyio.to_thread.run_sync(_read_or_make, folder)


async def delete_cluster_key_pair(clustername: str) -> None:
    """Delete the key pair of a cluster, if there is one.

    Args:
        clustername: Name of the cluster.

    Raises:
        InvalidNameError: When the name is not a cluster's.
    """
    folder = _folder(clustername)
    async with locked(_lock(folder)):
        await anyio.to_thread.run_sync(_remove, folder)


def generate_host_key() -> HostKey:
    """Make a key for the SSH server of a host, which is to be told to it before it starts.

    Returns:
        A new key pair.
    """
    key = Ed25519PrivateKey.generate()
    return HostKey(_private_bytes(key).decode(), _public_line(key))


def _folder(clustername: str) -> Path:
    return data_dir() / "keys" / validate_name(clustername, "cluster name")


def _lock(folder: Path) -> Path:
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    return folder.parent / f".{folder.name}.lock"


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    _lock(folder).unlink()  # whoever waits for it makes a new one


def _read_or_make(folder: Path) -> KeyPair:
    path = folder / _FILE
    if not path.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        write_bytes(path, _private_bytes(Ed25519PrivateKey.generate()))
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise CorruptStateError(
            f"the private key {path} cannot be read: {error}",
            hint="It was left as it is. Without it nobody can log in to the cluster's hosts.",
            cluster=folder.name,
        ) from error
    assert isinstance(key, Ed25519PrivateKey)
    return KeyPair(path, _public_line(key))


def _private_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _public_line(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
