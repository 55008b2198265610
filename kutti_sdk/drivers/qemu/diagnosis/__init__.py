"""The driver looks at itself: whether QEMU is here, and what killed processes left.

| module | what it looks at |
|---|---|
| `program` | QEMU and its features; how fast it runs here |
| `networks` | each network, under its lock: records, hosts, services, what is half made |
| `own_processes` | processes that this driver started, found by their command lines |
| `strays` | those of them that no record knows |
| `leftovers` | sockets, folders and pid files of what runs no more |
| `ports` | whether forwarded ports are free, or lead where they should |
| `store` | images, damaged or half made; files with keys in them |

Looking changes nothing. What a finding mends is looked at again under the lock.
"""

from __future__ import annotations

from pathlib import Path

from kutti_sdk.core.findings import Finding, guarded
from kutti_sdk.drivers.qemu import layout
from kutti_sdk.drivers.qemu.diagnosis import leftovers, networks, ports, program, store

_LOGS = ("network.json", "switch.json", "switch.log", "host.json", "console.log")


async def diagnose() -> list[Finding]:
    """Look at everything that the driver has on this machine.

    Returns:
        What was found.
    """
    return [
        *await guarded("QEMU", program.look),
        *await guarded("networks", networks.look),
        *await guarded("sockets", leftovers.look),
        *await guarded("forwarded ports", ports.look),
        *await guarded("images", store.look),
    ]


def log_files() -> list[Path]:
    """Name what tells of all networks and hosts; no keys. Reads folders: call it in a thread.

    Returns:
        Records, configurations of switches, their logs, and consoles of hosts.
    """
    return sorted(path for path in layout.networks_folder().rglob("*") if path.name in _LOGS)
