"""Talking to QEMU's monitor, and to what only pretends to be one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu.qmp import Monitor, monitor

pytestmark = pytest.mark.anyio

Serve = Callable[[bytes], Path]


@pytest.fixture
def serve(workspace: Path) -> Iterator[Serve]:
    """Make a socket whose other end greets, accepts capabilities and sends given bytes.

    ``ID`` in them stands for what the client calls its requests.
    """
    threads = []
    listener = socket.socket(socket.AF_UNIX)
    path = workspace / "qmp"
    listener.bind(str(path))
    listener.listen(1)

    def answer(reply: bytes) -> None:
        with listener.accept()[0] as client, client.makefile("rb") as lines:
            client.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
            name = json.loads(lines.readline())["id"].encode()
            client.sendall(b'{"return": {}, "id": "%s"}\r\n' % name)
            with suppress(ConnectionError):  # who has heard enough hangs up
                if lines.readline():
                    client.sendall(reply.replace(b"ID", name))

    def start(reply: bytes) -> Path:
        threads.append(threading.Thread(target=answer, args=(reply,)))
        threads[-1].start()
        return path

    yield start
    listener.close()
    for thread in threads:
        thread.join()


async def _ask(path: Path) -> object:
    async with monitor(path, timeout=5) as qemu:
        return await qemu.execute("query-status")


async def test_a_reply_is_returned_and_events_before_it_are_passed_over(serve: Serve) -> None:
    reply = (
        b'{"event": "STOP", "timestamp": {}}\r\n{"return": {"status": "running"}, "id": "ID"}\r\n'
    )
    assert await _ask(serve(reply)) == {"status": "running"}


async def test_a_reply_to_somebody_who_was_killed_is_passed_over(serve: Serve) -> None:
    reply = b'{"return": {}, "id": "theirs"}\r\n{"return": {"status": "running"}, "id": "ID"}\r\n'
    assert await _ask(serve(reply)) == {"status": "running"}


async def test_an_error_is_told_in_qemus_words(serve: Serve) -> None:
    with pytest.raises(kutti.HypervisorError, match="no such thing"):
        await _ask(
            serve(b'{"error": {"class": "GenericError", "desc": "no such thing"}, "id": "ID"}\r\n')
        )


@pytest.mark.parametrize(
    "reply",
    [
        b"x" * 5_000_000,
        b"[" * 100_000 + b"\r\n",
        b"",
        b"{",
        b"[]\r\n",
        b"null\r\n",
        b"\xff\xfe\r\n",
        b'{"return": ',
        b'{"error": 7, "id": "ID"}\r\n',
    ],
)
async def test_what_is_no_reply_is_an_error(serve: Serve, reply: bytes) -> None:
    with pytest.raises(kutti.HypervisorError):
        await _ask(serve(reply))


async def test_nobody_there_is_an_error(workspace: Path) -> None:
    with pytest.raises(kutti.HypervisorError):
        await _ask(workspace / "nobody")


async def test_silence_is_an_error(workspace: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(workspace / "silent"))
        listener.listen(1)
        with pytest.raises(kutti.HypervisorError, match="did not answer"):
            async with monitor(workspace / "silent", timeout=0.2):
                pass


class _Line:
    """In place of a socket: one line, then the end."""

    def __init__(self, line: bytes) -> None:
        self._line = line

    async def receive(self, _: int = 65536) -> bytes:
        import anyio

        line, self._line = self._line, b""
        if not line:
            raise anyio.EndOfStream
        return line


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_every_json_line_is_an_object_or_refused(value: object) -> None:
    import anyio

    async def receive() -> object:
        return await Monitor(_Line(json.dumps(value).encode() + b"\n")).receive()  # type: ignore[arg-type]

    if isinstance(value, dict):
        assert anyio.run(receive) == value
    else:
        with pytest.raises(kutti.HypervisorError):
            anyio.run(receive)
