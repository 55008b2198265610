"""Connections to sockets that serve one client at a time: in turn, or told at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import pytest

from kutti_sdk.drivers.qemu.sockets import connect, listens


@pytest.fixture
def path() -> Iterator[Path]:
    """The path of a socket, short enough for one."""
    with TemporaryDirectory(prefix="kutti-test-") as folder:
        yield Path(folder, "qemu.sock")


@pytest.fixture
def qemu(path: Path) -> Iterator[socket.socket]:
    """Listens as QEMU does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield listener


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.anyio
async def test_many_at_once_are_all_connected_in_turn(path: Path, qemu: socket.socket) -> None:
    greeted = []

    async def be_greeted() -> None:
        async with await connect(path) as stream:
            greeted.append(await stream.receive())

    def serve(count: int) -> None:
        for _ in range(count):
            client, _ = qemu.accept()
            with client:
                client.sendall(b"hello")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(be_greeted)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(serve, 8)
    assert greeted == [b"hello"] * 8


@pytest.mark.anyio
@pytest.mark.usefixtures("qemu")
async def test_one_who_is_cancelled_while_others_wait_leaves_nothing_open(path: Path) -> None:
    async with await connect(path), await connect(path):
        before = _open_files()
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(connect, path)
            await anyio.sleep(0.1)
            assert _open_files() > before, "they wait"
            group.cancel_scope.cancel()
        assert _open_files() == before


def test_one_who_listens_is_told_from_files_and_busy_ones(path: Path, qemu: socket.socket) -> None:
    assert [listens(path) for _ in range(5)] == [True] * 5, "it is busy from the third on"
    qemu.close()
    assert path.is_socket()
    assert not listens(path)
    path.unlink()
    assert not listens(path)
