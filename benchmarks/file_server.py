"""A web server for one file that is not the bottleneck: the kernel sends the bytes.

Run as ``python -m benchmarks.file_server FILE [BYTES_PER_SECOND]``. It prints its URL, and
then for each request how many bytes were asked for.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from pathlib import Path

_PIECE = 1024 * 1024


def main() -> None:
    """Serve until killed."""
    path = Path(sys.argv[1])
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else None
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        _say(f"http://127.0.0.1:{listener.getsockname()[1]}/{path.name}")
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, path, rate), daemon=True).start()


def _serve(connection: socket.socket, path: Path, rate: float | None) -> None:
    with connection, path.open("rb") as file:
        request = b""
        while b"\r\n\r\n" not in request:
            block = connection.recv(65536)
            if not block:
                return
            request += block
        total = path.stat().st_size
        match = re.search(rb"\r\nrange: bytes=(\d+)-", request.lower())
        start = int(match[1]) if match else 0
        _say(str(total - start))
        status = "206 Partial Content" if match else "200 OK"
        head = [f"HTTP/1.1 {status}", f"Content-Length: {total - start}", 'ETag: "one"']
        if match:
            head.append(f"Content-Range: bytes {start}-{total - 1}/{total}")
        try:
            connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
            _send(connection, file.fileno(), start, total, rate)
        except OSError:
            return  # the client was killed, as it should


def _send(
    connection: socket.socket, descriptor: int, start: int, end: int, rate: float | None
) -> None:
    begun, offset = time.perf_counter(), start
    while offset < end:
        offset += os.sendfile(connection.fileno(), descriptor, offset, min(_PIECE, end - offset))
        if rate is not None:
            time.sleep(max(0.0, (offset - start) / rate - (time.perf_counter() - begun)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
