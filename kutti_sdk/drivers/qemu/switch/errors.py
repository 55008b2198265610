"""What can go wrong in the switch process.

These errors never reach users of the SDK: the process turns them into exit codes and log lines.
"""

from __future__ import annotations

__all__ = ["AlreadyRunningError", "ConfigError", "NetworkGoneError", "PacketError", "SwitchError"]


class SwitchError(Exception):
    """Base of the errors of the switch process."""


class ConfigError(SwitchError):
    """The configuration file is missing, is not JSON or contradicts itself."""


class AlreadyRunningError(SwitchError):
    """Another switch holds the pid file."""


class NetworkGoneError(SwitchError):
    """The folder with the hosts' sockets does not exist, so there is nothing to switch."""


class PacketError(SwitchError):
    """Bytes from a guest are not what they claim to be; they are dropped."""
