"""The switch as a whole: its parts, its event loop and its signals."""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from .config import load
from .consoles import LOOK_SECONDS, shorten
from .errors import ConfigError, NetworkGoneError
from .fabric import Fabric
from .guard import Guard
from .links import Links
from .relay import Relay
from .services import Services

if TYPE_CHECKING:
    from pathlib import Path

    from .config import SwitchConfig

__all__ = ["Switch"]

_HOUSEKEEPING_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


class Switch:
    """One network's switch. It has no threads: everything happens in `run`.

    Args:
        config: What `path` says now.
        path: The configuration file, read again on SIGHUP.
    """

    def __init__(self, config: SwitchConfig, path: Path) -> None:
        self._config = config
        self._path = path
        self._running = True
        self._selector = selectors.DefaultSelector()
        self._relay = Relay(self._selector, config.resolv_conf, config.resolver_port)
        self._guard = Guard(config)
        self._fabric = Fabric(config.cidr, config.service_mac, self._guard, self._take)
        self._services = Services(config, self._relay, self._fabric.deliver)
        self._links = Links(config.ports_dir, config.gateway_socket, self._fabric, self._selector)
        self._next_housekeeping = 0.0
        self._next_look = 0.0
        self._wake_up = self._catch_signals()
        self._links.scan()

    def run(self) -> None:
        """Switch until SIGTERM or SIGINT comes or the folder with the ports is gone."""
        try:
            while self._running:
                self._turn()
        except NetworkGoneError as error:
            _log.info("%s any more", error)
        finally:
            self._relay.close()
            self._links.close()
            _log.info("services: %d damaged packets dropped", self._services.damaged)

    def _turn(self) -> None:
        deadline = self._links.next_scan
        if (relay_deadline := self._relay.next_deadline()) is not None:
            deadline = min(deadline, relay_deadline)
        for key, events in self._selector.select(max(0.0, deadline - time.monotonic())):
            key.data(events)
        self._relay.expire()
        now = time.monotonic()
        if now >= self._links.next_scan:
            self._links.scan()
        if now >= self._next_housekeeping:
            self._fabric.expire()
            self._next_housekeeping = now + _HOUSEKEEPING_SECONDS
        if now >= self._next_look:
            shorten(self._config.consoles)
            self._next_look = now + LOOK_SECONDS

    def _take(self, frame: bytes) -> bool:
        # Fabric and services need each other, and one of them has to be made first.
        return self._services.take(frame)

    def _catch_signals(self) -> socket.socket:
        """Have signals arrive as bytes on a socket that wakes the loop up."""
        inbox, outbox = socket.socketpair()
        inbox.setblocking(False)
        outbox.setblocking(False)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # the wake-up byte does the work
        signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
        self._selector.register(inbox, selectors.EVENT_READ, partial(self._on_signals, inbox))
        return outbox  # to be kept: it must stay open

    def _on_signals(self, inbox: socket.socket, _events: int) -> None:
        numbers = inbox.recv(64)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._running = False
        elif signal.SIGHUP in numbers:
            self._reload()
            self._links.scan()

    def _reload(self) -> None:
        try:
            config = load(self._path)
            if not self._config.can_become(config):
                raise ConfigError(f"{self._path}: only hosts and domain can change while running")
        except ConfigError as error:
            _log.error("%s; going on with the old configuration", error)
            return
        self._config = config
        self._guard.configure(config)
        self._services.configure(config)
        _log.info("configuration read again: %d leases", len(config.leases))
