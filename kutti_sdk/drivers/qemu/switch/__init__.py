"""The network of one cluster: a small Ethernet switch that runs as a process of its own.

QEMU's `-netdev stream,server=on` sockets are its ports. The switch connects to them, and connects
again after a host was restarted; one more port is the NAT gateway, a QEMU that runs nothing but
`-netdev user`. On its own service address the switch answers ARP, ping, DHCP and DNS.

The process uses the standard library only, so that it starts at once and stays small. This module
is the part that the driver imports: how to start the process and what its exit codes mean.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os

__all__ = [
    "EXIT_ALREADY_RUNNING",
    "EXIT_BAD_CONFIG",
    "EXIT_FAILED",
    "EXIT_USAGE",
    "command",
]

EXIT_FAILED: Final = 1
"""The switch could not start; the reason is on stderr."""

EXIT_USAGE: Final = 2
"""The command line is wrong."""

EXIT_BAD_CONFIG: Final = 3
"""The configuration file is missing or wrong; stderr names the file and the key."""

EXIT_ALREADY_RUNNING: Final = 4
"""Another switch lives and holds this pid file; stderr tells its pid."""


def command(config: str | os.PathLike[str], pidfile: str | os.PathLike[str]) -> list[str]:
    """Return the argument list that starts a switch in the background.

    The started process returns 0 only when the switch is ready, as `qemu -daemonize` does, and
    otherwise one of the exit codes of this module. The switch is started by the path of its file
    and isolated from the user's environment (`-I -S`): neither a `socket.py` in the notebook's
    folder nor a slow `site` can get in its way.

    Args:
        config: The JSON file described by `config.SwitchConfig`.
        pidfile: Where the process id goes; locked as long as the switch lives.
    """
    script = Path(__file__).with_name("__main__.py")
    arguments = [
        "--config",
        str(Path(config).absolute()),
        "--pidfile",
        str(Path(pidfile).absolute()),
    ]
    return [sys.executable, "-I", "-S", str(script), *arguments]
