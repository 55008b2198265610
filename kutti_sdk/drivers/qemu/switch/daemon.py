"""Turns the switch into a background process, in the manner of `qemu -daemonize -pidfile`.

The process that was called returns only when its child is ready or has told why it cannot be. The
child has a session of its own: an interrupt of the notebook's kernel does not reach it. POSIX only.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import EXIT_ALREADY_RUNNING, EXIT_BAD_CONFIG, EXIT_FAILED
from .config import load
from .errors import AlreadyRunningError, ConfigError, SwitchError
from .log_limit import LogLimit
from .pidfile import PidFile
from .switch import Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import SwitchConfig

__all__ = ["main"]

_READY: Final = b"ready"
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Start the switch in the background.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code: 0 when the switch is ready, else one of those named in this package.
    """
    options = _parse_arguments(arguments)
    os.umask(0o077)
    try:
        config = load(options.config)
        log = os.open(config.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        pidfile = PidFile(options.pidfile)
    except ConfigError as error:
        return _fail(EXIT_BAD_CONFIG, error)
    except AlreadyRunningError as error:
        return _fail(EXIT_ALREADY_RUNNING, error)
    except OSError as error:
        return _fail(EXIT_FAILED, error)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        return _run_daemon(config, options.config, pidfile, log, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as messages:
        message = messages.read()
    if message == _READY:
        return 0
    return _fail(EXIT_FAILED, message.decode() or "it died before it was ready; see its log")


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="switch", description="The switch of one network.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, read at SIGHUP")
    parser.add_argument("--pidfile", type=Path, required=True, help="locked while the switch runs")
    options = parser.parse_args(arguments)
    options.config = options.config.absolute()  # the daemon changes its folder
    options.pidfile = options.pidfile.absolute()
    return options


def _fail(code: int, reason: object) -> int:
    sys.stderr.write(f"switch: {reason}\n")
    return code


def _run_daemon(
    config: SwitchConfig, config_path: Path, pidfile: PidFile, log: int, ready: int
) -> int:
    """Be the background process from beginning to end; return its exit code.

    Args:
        config: What the configuration file says.
        config_path: The configuration file.
        pidfile: The lock, held already.
        log: The open log file.
        ready: Where the waiting parent is told that all is well, or why not.
    """
    os.setsid()
    os.chdir("/")
    _redirect_standard_streams(log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger().handlers[0].addFilter(LogLimit())
    try:
        switch = Switch(config, config_path)
        pidfile.write()
        os.write(ready, _READY)
    except (OSError, SwitchError) as error:
        pidfile.remove()
        with contextlib.suppress(BrokenPipeError):  # the parent was killed: nobody wants a switch
            os.write(ready, str(error).encode())
        return EXIT_FAILED
    os.close(ready)
    _log.info("network %s: started as pid %d", config.network, os.getpid())
    try:
        switch.run()
    finally:
        pidfile.remove()
    _log.info("network %s: ended", config.network)
    return 0


def _redirect_standard_streams(log: int) -> None:
    """Read from nowhere and write to the log, so that the caller's pipes come to their end."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)
