"""HTTP/1.1 on one socket: h11 reads requests and writes heads, the kernel sends files.

The socket is not one of anyio's streams, because files are to go from the disk to
the network without passing through Python (`sendfile`), under asyncio and trio
alike. It does not block; who waits for it waits on the loop.
"""

from __future__ import annotations

import os
import socket
import sys
from email.utils import formatdate
from http import HTTPStatus
from typing import IO

import anyio
import anyio.to_thread
import h11

from kutti_sdk.core.errors import KuttiError
from kutti_sdk.core.events import report
from kutti_sdk.core.sizes import MiB, format_size
from kutti_sdk.images.bundle.layout import Piece
from kutti_sdk.images.serving.address import url_of
from kutti_sdk.images.serving.answers import Answer, BundleRange, answer, refusal
from kutti_sdk.images.serving.offers import Offers

_REQUEST_TIMEOUT = 20.0  # seconds for a request to come as a whole, or not at all
_STALL_TIMEOUT = 30.0  # seconds without a client taking a single byte
_PARTING_TIMEOUT = 2.0  # seconds for a client to close its end after the last answer
_LARGEST_REST = 1 * MiB  # bytes of a request's content that are read and thrown away
_LARGEST_HEAD = 16 * 1024  # bytes of a request's head
_AT_ONCE = 4 * MiB  # bytes handed to the kernel; it takes what its buffers hold


async def serve_connection(sock: socket.socket, offers: Offers) -> None:
    """Answer the requests of one client until it or the protocol ends the connection.

    Args:
        sock: The connection; it does not block.
        offers: What there is.

    Raises:
        OSError: When the connection broke, or a file went away while it was sent.
        EOFError: When a file became shorter while it was sent.
        TimeoutError: When the client takes nothing any more.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
    while True:
        try:
            request = await _next_request(sock, http)
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            await _send_head(sock, http, refusal(status, Connection="close"))
            await _part(sock)
            return
        if request is None:
            return
        given = await _answer_to(request, offers, url_of(sock))
        await _send_head(sock, http, given)
        if request.method != b"HEAD" and given.status is not HTTPStatus.NOT_MODIFIED:
            await _send_content(sock, http, given)
        http.send(h11.EndOfMessage())
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            await _part(sock)  # the request has a content, which nobody wants, or is the last
            return
        http.start_next_cycle()


async def _part(sock: socket.socket) -> None:
    """Let the client read the answer: closing with bytes unread would take it away again.

    Source: RFC 9112, section 9.6.
    """
    sock.shutdown(socket.SHUT_WR)
    left = _LARGEST_REST
    with anyio.move_on_after(_PARTING_TIMEOUT):
        while left > 0:
            await anyio.wait_readable(sock)
            try:
                received = len(sock.recv(_LARGEST_HEAD))
            except BlockingIOError:  # woken for nothing
                continue
            if not received:
                return
            left -= received


async def _next_request(sock: socket.socket, http: h11.Connection) -> h11.Request | None:
    """Wait for the next request; None when the client wants nothing more."""
    with anyio.move_on_after(_REQUEST_TIMEOUT):
        while True:
            event = http.next_event()
            if isinstance(event, h11.Request):
                http.next_event()  # its end, when it has no content
                return event
            if event is not h11.NEED_DATA:
                return None
            await anyio.wait_readable(sock)
            try:
                http.receive_data(sock.recv(_LARGEST_HEAD))
            except BlockingIOError:  # woken for nothing
                continue
    return None


async def _answer_to(request: h11.Request, offers: Offers, url: str) -> Answer:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    try:
        return await answer(method, target, headers, offers, url)
    except (KuttiError, OSError) as error:  # the store cannot be read, say
        report("serve", f"cannot answer: {error}")
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR)


async def _send_head(sock: socket.socket, http: h11.Connection, given: Answer) -> None:
    headers = {"Date": formatdate(usegmt=True), **given.headers}
    if given.status is not HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(given.content))
    head = h11.Response(
        status_code=given.status, headers=list(headers.items()), reason=given.status.phrase
    )
    await _send(sock, http.send(head) or b"")


async def _send_content(sock: socket.socket, http: h11.Connection, given: Answer) -> None:
    # h11 only counts the bytes; that the kernel sends them is none of its business.
    http.send_with_data_passthrough(h11.Data(data=given.content))  # type: ignore[arg-type]
    if not isinstance(given.content, BundleRange):
        await _send(sock, given.content)
        return
    part = given.content
    for piece in part.bundle.pieces(part.start, part.end):
        await _send_piece(sock, piece)
    report(
        "serve",
        f"sent {format_size(len(part))} to {sock.getpeername()[0]}",
        image=part.bundle.image.k8s_version,
    )


async def _send_piece(sock: socket.socket, piece: Piece) -> None:
    if isinstance(piece.source, bytes):
        await _send(sock, piece.source[piece.start : piece.start + piece.length])
        return
    path = piece.source.path
    position, end = piece.start, piece.start + piece.length
    with await anyio.to_thread.run_sync(lambda: path.open("rb", buffering=0)) as file:
        while position < end:
            with anyio.fail_after(_STALL_TIMEOUT):
                await anyio.wait_writable(sock)
            # In a thread: what is not in memory is read from the disk first.
            position += await anyio.to_thread.run_sync(
                _send_from, file, sock, position, min(end - position, _AT_ONCE)
            )


async def _send(sock: socket.socket, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        with anyio.fail_after(_STALL_TIMEOUT):
            await anyio.wait_writable(sock)
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:  # woken for nothing
            continue


def _send_from(file: IO[bytes], sock: socket.socket, position: int, length: int) -> int:
    try:
        if sys.platform == "win32":
            file.seek(position)
            sent = sock.send(file.read(length))
        else:
            sent = os.sendfile(sock.fileno(), file.fileno(), position, length)
    except BlockingIOError:  # woken for nothing
        return 0
    if not sent:
        raise EOFError(f"{file.name} became shorter while it was sent")
    return sent
