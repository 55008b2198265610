"""The processes that this driver started, found by what they were started with.

A pid file tells which process a record means; it does not tell of a process whose record
is gone. So all processes of this user are asked for their command lines. One is ours when
it runs QEMU or the switch with a pid file in the networks folder of this workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import anyio.to_thread
import psutil

from kutti_sdk.drivers.qemu import layout
from kutti_sdk.runtime import processes
from kutti_sdk.runtime.processes import ProcessIdentity

_PIDFILE_OPTIONS = ("-pidfile", "--pidfile")
_QEMU = "qemu-system-"
_SWITCH = os.path.join("drivers", "qemu", "switch", "__main__.py")  # noqa: PTH118 - of an argument


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """A process that this driver started.

    Attributes:
        identity: Which process.
        pidfile: The pid file that it was started with.
        networkname: Name of its network.
        uuid: The UUID of its host; None for a switch or a gateway.
    """

    identity: ProcessIdentity
    pidfile: Path
    networkname: str
    uuid: str | None

    def __str__(self) -> str:
        return f"process {self.identity.pid}, {self.task}"

    @property
    def task(self) -> str:
        """What it does, in a few words."""
        if self.uuid is not None:
            cluster, host = self.pidfile.parts[-3:-1]
            return f"QEMU of host {host} in cluster {cluster}"
        return f"the {self.pidfile.stem} of network {self.networkname}"


async def own_processes() -> list[OwnProcess]:
    """Find all processes that this driver started in this workspace.

    Returns:
        The processes, ordered by pid file.
    """
    return await anyio.to_thread.run_sync(_own_processes)


async def named_in_command_lines(folders: Sequence[Path]) -> set[Path]:
    """Find folders that running processes were told of, whoever started them.

    Args:
        folders: The folders.

    Returns:
        Those in which a path of a process's command line lies.
    """
    return await anyio.to_thread.run_sync(_named_in_command_lines, folders)


def _named_in_command_lines(folders: Sequence[Path]) -> set[Path]:
    named = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            named |= {folder for folder in folders if f"{folder}{os.sep}" in line}
    return named


def _own_processes() -> list[OwnProcess]:
    root = layout.networks_folder()
    return sorted(_found_below(root), key=lambda it: (it.pidfile, it.identity.pid))


def _found_below(root: Path) -> Iterator[OwnProcess]:
    for process in psutil.process_iter():
        # Identified first: should the number be given away meanwhile, what is read of the
        # new process does not count, because the identity is not alive any more.
        identity = processes.identify(process.pid)
        if identity is None:
            continue
        try:
            if hasattr(os, "getuid") and process.uids().real != os.getuid():
                continue
            found = _recognized(process.cmdline(), identity, root)
        except psutil.Error:  # it ended, or is none of our business
            continue
        if found is not None and processes.is_alive(identity):
            yield found


def _recognized(
    arguments: Sequence[str], identity: ProcessIdentity, root: Path
) -> OwnProcess | None:
    """Read a command line; only hosts, gateways and switches are written by `layout` so."""
    pidfile = _value(arguments, *_PIDFILE_OPTIONS)
    if pidfile is None or not Path(pidfile).is_relative_to(root):
        return None
    network, *below = Path(pidfile).relative_to(root).parts
    is_qemu = Path(arguments[0]).name.startswith(_QEMU)
    match below:
        case ["hosts", _, _, "qemu.pid"] if is_qemu:
            uuid = _value(arguments, "-uuid")
            return None if uuid is None else OwnProcess(identity, Path(pidfile), network, uuid)
        case ["gateway.pid"] if is_qemu:
            return OwnProcess(identity, Path(pidfile), network, None)
        case ["switch.pid"] if any(it.endswith(_SWITCH) for it in arguments):
            return OwnProcess(identity, Path(pidfile), network, None)
    return None


def _value(arguments: Sequence[str], *options: str) -> str | None:
    for option, value in pairwise(arguments):
        if option in options:
            return value
    return None
