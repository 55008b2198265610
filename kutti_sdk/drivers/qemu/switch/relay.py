"""Asks the host's own name servers what the guests want to know about the rest of the world.

Each question goes out on a socket of its own, connected to one server, from a port and under an id
that nobody can guess (RFC 5452); the next server is asked when one is silent or refuses.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from .dns import DnsQuery, Rcode, answers, build_answer, with_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["ATTEMPT_SECONDS", "MAX_PENDING", "Relay"]

ATTEMPT_SECONDS: Final = 2.0
"""How long one server may take: two fit into the 5 s after which glibc's resolver asks again."""

MAX_PENDING: Final = 128
"""Questions under way at one time; each is a socket. More get SERVFAIL."""

_MAX_SERVERS: Final = 3  # MAXNS of resolv.conf(5)
_MAX_ANSWER: Final = 65535
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One question under way to one server."""

    query: DnsQuery
    message: bytes
    ident: int
    deadline: float
    servers_left: tuple[str, ...]
    reply: Callable[[bytes], None]


class Relay:
    """Sends questions on without ever waiting; lives in the switch's event loop.

    Args:
        selector: Where the sockets are watched; the key's data is called when one is readable.
        resolv_conf: File with `nameserver` lines, read again whenever it changes.
        port: The servers' UDP port.
    """

    def __init__(self, selector: selectors.BaseSelector, resolv_conf: Path, port: int) -> None:
        self._selector = selector
        self._resolv_conf = resolv_conf
        self._port = port
        self._seen: tuple[int, ...] = ()
        self._servers: tuple[str, ...] = ()
        # In the order of their deadlines, because every attempt has the same time.
        self._attempts: dict[socket.socket, _Attempt] = {}

    def ask(self, query: DnsQuery, message: bytes, reply: Callable[[bytes], None]) -> None:
        """Send a question on; `reply` gets the answer, or SERVFAIL in the end.

        Args:
            query: The question.
            message: The question as the guest sent it.
            reply: Called with the answer under the guest's own id, perhaps at once.
        """
        if len(self._attempts) >= MAX_PENDING:
            reply(build_answer(query, Rcode.SERVFAIL))
        else:
            self._try_next(query, message, reply, self._name_servers())

    def next_deadline(self) -> float | None:
        """Return the monotonic time at which `expire` has something to do, or None."""
        return next((attempt.deadline for attempt in self._attempts.values()), None)

    def expire(self) -> None:
        """Turn to the next server for every question whose time is up."""
        now = time.monotonic()
        while self._attempts:
            sock, attempt = next(iter(self._attempts.items()))
            if attempt.deadline > now:
                return
            self._move_on(sock, attempt)

    def close(self) -> None:
        """Give up all questions."""
        for sock in list(self._attempts):
            self._forget(sock)

    def _try_next(
        self,
        query: DnsQuery,
        message: bytes,
        reply: Callable[[bytes], None],
        servers: tuple[str, ...],
    ) -> None:
        while servers:
            server, *rest = servers
            servers = tuple(rest)
            ident = int.from_bytes(os.urandom(2))
            try:
                sock = self._send(server, with_id(message, ident))
            except OSError as error:  # no such address, no route to it, no more sockets
                _log.info("name server %s: %s", server, error)
                continue
            deadline = time.monotonic() + ATTEMPT_SECONDS
            attempt = _Attempt(query, message, ident, deadline, servers, reply)
            self._attempts[sock] = attempt
            self._selector.register(sock, selectors.EVENT_READ, partial(self._receive, sock))
            return
        reply(build_answer(query, Rcode.SERVFAIL))

    def _send(self, server: str, message: bytes) -> socket.socket:
        numeric = socket.AI_NUMERICHOST
        found = socket.getaddrinfo(server.encode(), self._port, 0, socket.SOCK_DGRAM, 0, numeric)
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.connect(address)  # the kernel now drops datagrams from anybody else
            sock.send(message)
        except OSError:
            sock.close()
            raise
        return sock

    def _receive(self, sock: socket.socket, _events: int) -> None:
        attempt = self._attempts.get(sock)
        if attempt is None:
            return  # given up earlier in the same round of events
        try:
            message = sock.recv(_MAX_ANSWER)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there
            self._move_on(sock, attempt)
            return
        if answers(attempt.query, attempt.ident, message):
            self._forget(sock)
            attempt.reply(with_id(message, attempt.query.ident))

    def _move_on(self, sock: socket.socket, attempt: _Attempt) -> None:
        self._forget(sock)
        self._try_next(attempt.query, attempt.message, attempt.reply, attempt.servers_left)

    def _forget(self, sock: socket.socket) -> None:
        del self._attempts[sock]
        self._selector.unregister(sock)
        sock.close()

    def _name_servers(self) -> tuple[str, ...]:
        try:
            status = self._resolv_conf.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._servers = _parse_resolv_conf(self._resolv_conf.read_text(errors="replace"))
                self._seen = seen
        except OSError as error:
            _log.info("%s: %s", self._resolv_conf, error)
        return self._servers


def _parse_resolv_conf(text: str) -> tuple[str, ...]:
    words = (line.split() for line in text.splitlines())
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple(servers[:_MAX_SERVERS])
