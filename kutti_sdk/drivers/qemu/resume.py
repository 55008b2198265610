"""Hosts that go on from a saved state at their next start, in place of booting.

What a host goes on from lies in a folder of its own, `HostFiles.resume`:

```
resume.json   under which conditions it was saved; without this file the host boots
memory        the host's memory, as a whole
devices       what QEMU knows of the processor and of the devices
identity      what is new about the host, when it shall be another one than was saved
template      name of the template that the state is of; such a host can as well boot
```

The state belongs to the disk as it is. So it is used once: it is gone before the host
moves on by a single instruction, and a host that dies after that boots from its disk.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import anyio
import anyio.to_thread

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.core.events import report
from kutti_sdk.drivers.qemu import identity
from kutti_sdk.drivers.qemu.guest_agent import guest_agent
from kutti_sdk.drivers.qemu.layout import HostFiles
from kutti_sdk.drivers.qemu.machine import Memory
from kutti_sdk.drivers.qemu.qmp import Monitor, monitor
from kutti_sdk.drivers.qemu.records import HostRecord, NetworkRecord
from kutti_sdk.runtime import state

LOAD_TIMEOUT = 60.0
"""Seconds that QEMU may take to load a state; takes 0.1 on a quiet machine."""

_AGENT_TIMEOUT = 120.0  # seconds; 2 are usual, a busy machine with many clones takes tens
_STEP = 0.05  # seconds; events of a migration are lost before anybody listens
_SEED = 64  # bytes of new randomness; the kernel's generator keeps 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what a state was saved; it goes on only under the same.

    Attributes:
        qemu: Version of QEMU; a later one can take it as well.
        machine: Machine type with its version.
        accelerator: Name of the accelerator.
        cpu: CPU model, as QEMU was given it.
        processor: The processor of this machine where it is passed through, else empty.
    """

    qemu: tuple[int, ...]
    machine: str
    accelerator: str
    cpu: str
    processor: str


@dataclass(frozen=True, slots=True)
class ResumeFiles:
    """The files of a saved state.

    Attributes:
        folder: Their folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """The conditions; written last, and removed first."""
        return self.folder / "resume.json"

    @property
    def memory(self) -> Path:
        """The host's memory."""
        return self.folder / "memory"

    @property
    def devices(self) -> Path:
        """The state of its devices."""
        return self.folder / "devices"

    @property
    def identity(self) -> Path:
        """What is new about the host; it holds the host's private key."""
        return self.folder / "identity"

    @property
    def template(self) -> Path:
        """Name of the template that the state is of, where it is of one."""
        return self.folder / "template"


async def pending_state(host: HostRecord) -> Conditions | None:
    """Tell what a host goes on from at its next start.

    Args:
        host: The host.

    Returns:
        The conditions that the state needs; None for a host that boots.

    Raises:
        CorruptStateError: When they do not parse.
    """
    return await state.load(ResumeFiles(host.files.resume).record, Conditions)


async def is_left(host: HostRecord) -> bool:
    """Tell whether anything is there of a saved state, used or not.

    Args:
        host: The host.

    Returns:
        Whether there is a folder. One beside a QEMU that nobody starts is of a host that was
        left half on its way: it may not know who it is.
    """
    return await anyio.Path(host.files.resume).exists()


async def template_of(host: HostRecord) -> str | None:
    """Tell which template a host's saved state is of.

    Args:
        host: The host, with a saved state.

    Returns:
        Name of the template; None when the state is the host's own, or a checkpoint's.
    """
    path = anyio.Path(ResumeFiles(host.files.resume).template)
    return await path.read_text() if await path.exists() else None


def memory_of(host: HostRecord, conditions: Conditions) -> Memory:
    """Tell QEMU what a host's memory is, of which others may have a share.

    Args:
        host: The host, with a saved state.
        conditions: Under what it was saved.

    Returns:
        The memory.
    """
    return Memory(ResumeFiles(host.files.resume).memory, conditions.machine, share="off")


def place_state(
    saved: ResumeFiles, host_files: HostFiles, conditions: Conditions, new_identity: bytes | None
) -> None:
    """Let a host go on from a saved state at its next start. Call it in a thread.

    The host's disk is that of the state already. Files are linked, not copied.

    Args:
        saved: The state.
        host_files: The host's files, wherever they are made.
        conditions: Under what it was saved.
        new_identity: From `identity_values`, when the host is another one; else None.
    """
    drop_state(host_files)
    place = ResumeFiles(host_files.resume)
    place.folder.mkdir(mode=0o700)
    place.memory.hardlink_to(saved.memory)
    place.devices.hardlink_to(saved.devices)
    if new_identity is not None:
        state.write_bytes(place.identity, new_identity)
    state.save_now(place.record, conditions)


def drop_state(host_files: HostFiles) -> None:
    """Let a host boot at its next start. Call it in a thread.

    Args:
        host_files: The host's files.
    """
    place = ResumeFiles(host_files.resume)
    if place.folder.exists():
        place.record.unlink(missing_ok=True)
        state.sync_folder(place.folder)
        shutil.rmtree(place.folder)


async def go_on(host: HostRecord, network: NetworkRecord) -> None:
    """Let a QEMU that waits for it load a host's state, and the host go on as itself.

    Args:
        host: The host, whose QEMU was started with its memory.
        network: Its network.

    Raises:
        HypervisorError: When it cannot; the caller ends it, and calls `drop_state`, as it does
            in the end of what went well.
    """
    files = ResumeFiles(host.files.resume)
    try:
        async with monitor(network.sockets.monitor(host.id), timeout=LOAD_TIMEOUT) as qemu:
            await load_devices(qemu, files.devices)
            new_identity = await anyio.to_thread.run_sync(_use_up, files)
            await qemu.execute("cont")
        await become(host, network, new_identity)
    except HypervisorError as error:
        error.hint = error.hint or "What it was saved with is gone; start it again to boot it."
        raise


async def become(host: HostRecord, network: NetworkRecord, new_identity: bytes) -> None:
    """Give a host that goes on new randomness, the right time, and its identity.

    Args:
        host: The host, which runs.
        network: Its network.
        new_identity: From `identity_values`; empty for a host that stays who it is.

    Raises:
        HypervisorError: When its guest agent does not answer, or it cannot be done.
    """
    report("resume", f"{host.name} goes on", cluster=host.clustername, host=host.name)
    script = (files(__package__) / "resume.pl").read_bytes()
    async with guest_agent(network.sockets.agent(host.id), timeout=_AGENT_TIMEOUT) as agent:
        seed = secrets.token_hex(_SEED)
        behind = await agent.behind()
        values = f"seed={seed}\nbehind={behind}\n".encode()
        await agent.run("/usr/bin/perl", script + values + new_identity)


async def save_devices(qemu: Monitor, devices: Path) -> None:
    """Save the state of devices of a QEMU that stands still, and whose memory is a file.

    Args:
        qemu: Its monitor.
        devices: File for the state, which is new.

    Raises:
        HypervisorError: When it cannot be saved.
    """
    await _ignore_memory(qemu)
    with devices.open("xb") as file:
        await qemu.give_file("devices", file)
        await qemu.execute("migrate", uri="fd:devices")
        await migration_end(qemu)


async def load_devices(qemu: Monitor, devices: Path) -> None:
    """Load the state of devices into a QEMU that was started with ``-incoming defer``.

    Args:
        qemu: Its monitor.
        devices: File of the state.

    Raises:
        HypervisorError: When QEMU does not take it.
    """
    await _ignore_memory(qemu)
    with devices.open("rb") as file:
        await qemu.give_file("devices", file)
    await qemu.execute("migrate-incoming", uri="fd:devices")
    await migration_end(qemu)


async def set_capabilities(qemu: Monitor, **capabilities: bool) -> None:
    """Choose how QEMU saves and loads.

    Args:
        qemu: Its monitor.
        **capabilities: Names of capabilities, and whether they shall be used.
    """
    wanted = [{"capability": name, "state": use} for name, use in capabilities.items()]
    await qemu.execute("migrate-set-capabilities", capabilities=wanted)


async def migration_end(qemu: Monitor) -> None:
    """Wait until QEMU has saved or loaded a state.

    Args:
        qemu: Its monitor.

    Raises:
        HypervisorError: When it failed.
    """
    while True:
        status = await qemu.execute("query-migrate")
        if status.get("status") == "completed":
            return
        if status.get("status") in ("failed", "cancelled"):
            reason = status.get("error-desc", status["status"])
            raise HypervisorError(f"QEMU could not move a state: {reason}", driver="qemu")
        await anyio.sleep(_STEP)


def identity_values(
    host: HostRecord, network: NetworkRecord, *, host_key: str, authorized_key: str
) -> bytes:
    """Write down what is new about a host that goes on from another's state.

    Args:
        host: The host.
        network: Its network.
        host_key: Private key of its SSH server, in OpenSSH's format.
        authorized_key: Public key that may log in.

    Returns:
        The lines that the script ``resume.pl`` reads.
    """
    home = "/root" if host.ssh_user == "root" else f"/home/{host.ssh_user}"
    contents = {
        "machine_id": f"{identity.machine_id(host)}\n",
        "host_key": host_key,
        "host_key_pub": f"{host.host_key}\n",
        "authorized_key": f"{authorized_key}\n",
        "hosts": identity.hosts_file(host, network),
        "resolver": identity.resolver_file(network),
        "network": identity.network_file(host, network),
    }
    values = {"mac": host.mac, "home": home}
    values |= {name: value.encode().hex() for name, value in contents.items()}
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def new_host_values(host: HostRecord, network: NetworkRecord) -> bytes:
    """Write down what else is new about a host that goes on from a template.

    Args:
        host: The host.
        network: Its network.

    Returns:
        More lines for the script ``resume.pl``.
    """
    values = {
        "name": host.name,
        "address": identity.interface_address(host, network),
        "gateway": str(network.gateway_address),
        "uuid": f"{host.uuid}\n".encode().hex(),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


async def _ignore_memory(qemu: Monitor) -> None:
    """Let QEMU leave memory out of a state, which is a file of its own."""
    await set_capabilities(qemu, **{"x-ignore-shared": True})


def _use_up(files: ResumeFiles) -> bytes:
    """Make sure that a state is never used again; give the new identity that was with it."""
    new_identity = files.identity.read_bytes() if files.identity.exists() else b""
    files.record.unlink()
    state.sync_folder(files.folder)
    files.memory.unlink()  # QEMU has it open, and it goes with QEMU
    files.devices.unlink()
    return new_identity
