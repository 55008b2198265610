"""Kubeconfigs: the administrator's, made to work from this machine, and merged on request."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from kutti_sdk.core.errors import InvalidInputError, KubernetesError, StateError
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF
from kutti_sdk.kubernetes.yaml_documents import read_documents, write_documents
from kutti_sdk.runtime import state
from kutti_sdk.runtime.directories import make_private
from kutti_sdk.runtime.locks import locked

VARIABLE = "KUBECONFIG"
"""Environment variable of kubectl that names its files, separated as in PATH."""

_LISTS = ("clusters", "users", "contexts")
_DATA = re.compile(r"^ +(?:- )?([a-z-]+-data): ([A-Za-z0-9+/]+=*)$", re.MULTILINE)
_LARGEST = 64 * 1024  # characters of one cluster's; kubeadm's have 6,000


async def read_kubeconfig(control_plane: Guest, server: str) -> str:
    """Read the administrator's kubeconfig from the control plane, for this machine.

    Args:
        control_plane: The control plane.
        server: ``address:port`` at which this machine reaches the API server.

    Returns:
        The kubeconfig; cluster, user and context are named after the cluster:
        ``kutti-NAME``.

    Raises:
        KubernetesError: When there is none, because Kubernetes was not initialised, or
            what is there is not what kubeadm writes.
    """
    answer = await control_plane.run("kubeconfig", f"cat {ADMIN_CONF}\n")
    if not answer.ok:
        raise KubernetesError(
            f"{control_plane.name} has no kubeconfig: Kubernetes was not initialised on it",
            hint="ensure() does that; with .bare() it is yours to run kubeadm init.",
            cluster=control_plane.cluster,
            host=control_plane.name,
        )
    try:
        return rewritten(answer.stdout, f"kutti-{control_plane.cluster}", f"https://{server}")
    except InvalidInputError as error:
        raise KubernetesError(
            f"{control_plane.name} has a kubeconfig that is not kubeadm's: {error.message}",
            hint=f"Look at {ADMIN_CONF} on it, and at who can write there.",
            cluster=control_plane.cluster,
            host=control_plane.name,
        ) from error


def rewritten(text: str, name: str, server: str) -> str:
    """Give a kubeconfig of one cluster, user and context another name and server.

    It comes from a host, and hosts are not trusted. Only certificates and keys are taken
    over. Whatever else a kubeconfig can hold has kubectl run programs, read files of this
    machine, or ask a proxy, and that is for its user to decide. It is not read as YAML:
    a text of 64 KiB can keep a reader of YAML busy for an hour.

    Args:
        text: The kubeconfig, as kubeadm writes it: each of the three on a line of its own.
        name: What all three are called.
        server: URL of the API server.

    Returns:
        The new kubeconfig.

    Raises:
        InvalidInputError: When it lacks one of them, or has more than one.
    """
    if len(text) > _LARGEST:
        raise InvalidInputError(f"it has {len(text)} characters")
    cluster = {"certificate-authority-data": _embedded(text, "certificate-authority-data")}
    user = {key: _embedded(text, key) for key in ("client-certificate-data", "client-key-data")}
    return write_documents(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {**cluster, "server": server}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


async def write_kubeconfig(text: str, path: Path) -> None:
    """Write a kubeconfig, for this user alone to read.

    Args:
        text: The kubeconfig.
        path: Where; its folder is made.

    Raises:
        StateError: When it cannot be written.
    """

    def write() -> None:
        try:
            make_private(path.parent)
        except OSError as error:
            raise StateError(f"{path.parent} cannot be made: {error.strerror}") from error
        state.write_bytes(path, text.encode())

    await anyio.to_thread.run_sync(write)


async def merge_kubeconfig(text: str, path: Path) -> None:
    """Add a kubeconfig to the user's own; everything that is in there stays.

    What has the same name is replaced: the same cluster, as it was before. The
    current context becomes the new one.

    Args:
        text: The kubeconfig to add.
        path: The user's file; made when there is none.

    Raises:
        InvalidInputError: When the user's file is no kubeconfig; it is left alone.
        StateError: When it cannot be read or written.
        LockTimeoutError: When another process of ours keeps it.
    """
    # Not kubectl's own PATH.lock: that one has no owner, and outlives who made it.
    async with locked(path.with_name(f".{path.name}.kutti-lock")):
        present = await anyio.to_thread.run_sync(_read, path)
        await write_kubeconfig(merged_kubeconfig(present, text, str(path)), path)


def merged_kubeconfig(present: str, added: str, what: str) -> str:
    """Merge two kubeconfigs.

    Args:
        present: The one that is there; may be empty.
        added: The one to add.
        what: What the present one is called in an error.

    Returns:
        The merged one, with comments and unknown keys of the present one.

    Raises:
        InvalidInputError: When the present one is no kubeconfig.
    """
    documents = read_documents(present, what=what)
    if not documents:
        return added
    config, new = documents[0], read_documents(added, what="the new kubeconfig")[0]
    for key in _LISTS:
        entries = config[key] if config.get(key) is not None else []
        if not isinstance(entries, list) or not all(isinstance(it, Mapping) for it in entries):
            raise InvalidInputError(
                f"{what} is not a kubeconfig: {key!r} is no list of entries",
                hint="It was left alone. Mend it, or name another file.",
            )
        _replace_entries(entries, new[key])
        config[key] = entries
    config["current-context"] = new["current-context"]
    return write_documents(*documents)


def users_kubeconfig() -> Path:
    """Tell which file kubectl uses.

    Returns:
        The first that ``KUBECONFIG`` names, else ``~/.kube/config``.
    """
    named = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    return Path(named[0] if named else "~/.kube/config").expanduser()


def _embedded(text: str, key: str) -> str:
    """Find what a kubeconfig has in itself, in base64."""
    found = [data for name, data in _DATA.findall(text) if name == key]
    try:
        (data,) = found
        b64decode(data, validate=True)
    except ValueError as error:
        raise InvalidInputError(f"it does not have one {key}") from error
    return str(data)


def _replace_entries(entries: list[Any], new: list[Any]) -> None:
    for entry in new:
        places = [place for place, it in enumerate(entries) if it.get("name") == entry["name"]]
        if places:
            entries[places[0]] = entry
        else:
            entries.append(entry)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path} cannot be read: {error}", hint="Name another file.") from error
