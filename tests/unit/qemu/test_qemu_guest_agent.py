"""Conversations with a guest agent that is played by a real socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.core.errors import HypervisorError
from kutti_sdk.drivers.qemu.guest_agent import guest_agent

pytestmark = pytest.mark.anyio


class Guest:
    """The other end: answers as the agent does, after what it had left to say."""

    def __init__(self, status: dict[str, Any], left_over: bytes = b"") -> None:
        self.scripts: list[str] = []
        self._looks = 0
        self._status = status
        self._left_over = left_over

    def serve(self, listener: socket.socket) -> None:
        with listener.accept()[0] as client, client.makefile("rb") as lines:
            client.sendall(self._left_over)
            for line in lines:
                request = json.loads(line.lstrip(b"\xff"))
                before = b"\xff" if request["execute"] == "guest-sync-delimited" else b""
                client.sendall(before + json.dumps(self._answer(request)).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        arguments = request["arguments"]
        match request["execute"]:
            case "guest-sync-delimited":
                return {"return": arguments["id"]}
            case "guest-get-time":
                return {"return": time.time_ns() - 3600 * 10**9}
            case "guest-exec":
                self.scripts.append(b64decode(arguments["input-data"]).decode())
                return {"return": {"pid": 7}}
            case _:
                self._looks += 1
                return {"return": {"exited": False} if self._looks < 3 else self._status}


@contextmanager
def _served(serve: Callable[[socket.socket], None], path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            thread.join()


async def _run(path: Path, script: bytes = b"true\n") -> None:
    async with guest_agent(path, timeout=10) as agent:
        await agent.run("/bin/sh", script)


async def test_a_script_is_run_to_its_end(workspace: Path) -> None:
    guest = Guest({"exited": True, "exitcode": 0})
    with _served(guest.serve, workspace / "qga"):
        await _run(workspace / "qga", b"echo one\n")
    assert guest.scripts == ["echo one\n"]


async def test_what_was_said_to_others_is_passed_over(workspace: Path) -> None:
    # Half an answer, a whole one, and the answer to another's synchronisation.
    left_over = b'"}}\n{"return": {"pid": 3}}\n\xff{"return": -1}\n'
    guest = Guest({"exited": True, "exitcode": 0}, left_over)
    with _served(guest.serve, workspace / "qga"):
        await _run(workspace / "qga")
    assert guest.scripts == ["true\n"]


async def test_a_clock_that_was_saved_is_behind(workspace: Path) -> None:
    guest = Guest({})
    with _served(guest.serve, workspace / "qga"):
        async with guest_agent(workspace / "qga", timeout=10) as agent:
            assert await agent.behind() == pytest.approx(3600 * 10**9, rel=0.01)


async def test_a_script_that_fails_is_told_with_its_last_words(workspace: Path) -> None:
    words = b64encode(b"no such card\n").decode()
    guest = Guest({"exited": True, "exitcode": 2, "err-data": words})
    with (
        _served(guest.serve, workspace / "qga"),
        pytest.raises(HypervisorError, match="no such card"),
    ):
        await _run(workspace / "qga")


async def test_a_script_that_was_killed_has_failed(workspace: Path) -> None:
    guest = Guest({"exited": True, "signal": 9})
    with _served(guest.serve, workspace / "qga"), pytest.raises(HypervisorError):
        await _run(workspace / "qga")


async def test_silence_ends_with_the_time(workspace: Path) -> None:
    def say_nothing(listener: socket.socket) -> None:
        with listener.accept()[0] as client, client.makefile("rb") as lines:
            lines.read()

    with (
        _served(say_nothing, workspace / "qga"),
        pytest.raises(HypervisorError, match="did not answer"),
    ):
        async with guest_agent(workspace / "qga", timeout=0.2):
            pass


async def test_nobody_there_is_told_at_once(workspace: Path) -> None:
    with pytest.raises(HypervisorError, match="does not answer"):
        await _run(workspace / "qga")
