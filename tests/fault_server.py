"""A web server on real sockets that does everything wrong, when it is told to.

    with FaultServer() as server:
        server.files["/disk"] = b"..."           # or a Path
        server.faults["/disk"] = [Reset(after=1000), Status(503)]   # the first two requests
        server.always["/disk"] = Slow(100_000)   # all requests
        fetch(server.url("/disk"))
        server.requests                          # who asked for what, and what was sent

The faults are in `server_faults`. Without one it is a decent HTTP/1.1 server:
Content-Length, a strong ETag and Last-Modified; Range, If-Range, If-None-Match and
If-Modified-Since are heeded (RFC 9110). Each connection serves one request. A request
for a URL and not a path, which is what a proxy gets, is answered just as well: the
server is its own proxy.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from server_faults import Answer, Fault, Fine

_PIECE = 64 * 1024
_DATE = "Sat, 01 Nov 2025 09:00:00 GMT"
_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified"}


@dataclass
class Request:
    """A request that came.

    Attributes:
        path: Its path.
        target: What the request line named: a path, or a URL when it went to a proxy.
        headers: Its headers, with names in lower case.
        sent: Bytes of the body that were sent so far.
    """

    path: str
    target: str
    headers: dict[str, str]
    sent: int = 0

    @property
    def first_byte(self) -> int:
        """Where the range begins that was asked for; 0 without one."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


class FaultServer:
    """Files over HTTP, from a server that can do everything wrong.

    Args:
        tls: Makes it an HTTPS server.

    Attributes:
        files: What is served, by path.
        faults: What goes wrong with the next requests for a path, one each.
        always: What goes wrong with every request for a path that no fault is left for.
        requests: What was asked for.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes | Path] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self._tls = tls
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, path: str) -> str:
        """The URL of a path."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}{path}"

    def asked(self, path: str) -> list[Request]:
        """The requests for a path."""
        return [request for request in self.requests if request.path == path]

    def stop(self) -> None:
        """End all connections and threads."""
        self._stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, function: object, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
            request = _read_request(connection)
            if request is not None:
                self.requests.append(request)
                self._answer(connection, request)
        except OSError:
            pass  # the client has gone, which is what many tests are about
        finally:
            self._connections.discard(plain)
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> None:
        answer = self._proper_answer(request)
        waiting = self.faults.get(request.path)
        fault = waiting.pop(0) if waiting else self.always.get(request.path, Fine())
        fault.spoil(answer)
        if answer.silent:
            self._stopped.wait()
            return
        lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Whatever')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        for piece in _pieces(answer):
            begun = time.monotonic()
            connection.sendall(piece)
            request.sent += len(piece)
            if answer.rate is not None:
                pause = len(piece) / answer.rate - (time.monotonic() - begun)
                self._stopped.wait(max(0.0, pause))
            if self._stopped.is_set():
                return
        if answer.stop_after is None:
            return
        if answer.stop == "hang":
            self._stopped.wait()
        elif answer.stop == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _proper_answer(self, request: Request) -> Answer:
        content = self.files.get(request.path)
        if content is None:
            missing = Answer(404, {})
            missing.say(404)
            return missing
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        headers = {"ETag": _etag(content), "Last-Modified": _DATE, "Accept-Ranges": "bytes"}
        asked = request.headers
        if asked.get("if-none-match", asked.get("if-modified-since")) in headers.values():
            return Answer(304, headers)
        answer = Answer(200, headers, content, 0, size)
        if "range" in asked and asked.get("if-range", headers["ETag"]) in headers.values():
            if request.first_byte >= size:
                answer.say(416, Content_Range=f"bytes */{size}")
                return answer
            answer.status, answer.start = 206, request.first_byte
            headers["Content-Range"] = f"bytes {answer.start}-{size - 1}/{size}"
        headers["Content-Length"] = str(size - answer.start)
        return answer


def _read_request(connection: socket.socket) -> Request | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        block = connection.recv(_PIECE)
        if not block:
            return None
        raw += block
    first, *lines = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    target = first.split(" ")[1]
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(urlsplit(target).path, target, headers)


def _pieces(answer: Answer) -> Iterator[bytes]:
    left = answer.end - answer.start
    if answer.stop_after is not None:
        left = min(left, answer.stop_after)
    size = _PIECE if answer.rate is None else max(1, min(_PIECE, int(answer.rate / 50)))
    while True:
        offset, end = answer.start, answer.start + left
        while offset < end:
            piece = _read(answer.content, offset, min(size, end - offset))
            if answer.flip is not None and offset <= answer.flip < offset + len(piece):
                spoilt = bytearray(piece)
                spoilt[answer.flip - offset] ^= 0xFF
                piece = bytes(spoilt)
            yield piece
            offset += len(piece)
        if not answer.endless:
            return


def _read(content: bytes | Path, offset: int, size: int) -> bytes:
    if isinstance(content, bytes):
        return content[offset : offset + size]
    with content.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _etag(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    status = content.stat()
    return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
