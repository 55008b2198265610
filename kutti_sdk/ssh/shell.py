"""This process's terminal, connected to a terminal on a host."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from kutti_sdk.core.errors import SSHError
from kutti_sdk.runtime.island import on_island
from kutti_sdk.runtime.tasks import task_group

if TYPE_CHECKING:
    from kutti_sdk.ssh.commands import FollowedSession

_CHUNK = 1024  # bytes; a terminal that can take any takes these without blocking


def require_terminal() -> tuple[int, int]:
    """Find the terminal of this process.

    Returns:
        The file descriptors to read from and to write to.

    Raises:
        SSHError: When there is none, as in a notebook.
    """
    try:
        descriptors = sys.__stdin__.fileno(), sys.__stdout__.fileno()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        descriptors = -1, -1
    if os.name != "posix" or not all(map(_is_terminal, descriptors)):
        raise SSHError(
            "this process has no terminal to connect to the host",
            hint="In a notebook or a script, call run() with a command instead.",
        )
    return descriptors


async def attach_terminal(session: FollowedSession, descriptors: tuple[int, int]) -> int:
    """Pass everything between this terminal and a shell on a host until the shell ends.

    Args:
        session: The shell, started with a terminal there.
        descriptors: This terminal, to read from and to write to; raw meanwhile.

    Returns:
        The exit status of the shell.

    Raises:
        SSHConnectionError: When the line is lost before the shell ends.
    """
    source, target = descriptors
    with _raw(source):
        async with task_group() as group:
            group.start_soon(_pass_keys, source, session)
            if threading.current_thread() is threading.main_thread():  # signals come there only
                group.start_soon(_pass_sizes, target, session)
            while await on_island(session.more):
                while (piece := session.take()) is not None:
                    await _write(target, piece[1])
            group.cancel_scope.cancel()
    return session.exit_status


async def _pass_keys(source: int, session: FollowedSession) -> None:
    while True:
        await anyio.wait_readable(source)
        data = os.read(source, _CHUNK)
        if not data:
            return
        await on_island(_send, session, data)


async def _pass_sizes(target: int, session: FollowedSession) -> None:
    with anyio.open_signal_receiver(signal.SIGWINCH) as changes:
        async for _ in changes:
            size = os.get_terminal_size(target)
            await on_island(_resize, session, size.columns, size.lines)


async def _write(target: int, data: bytes) -> None:
    while data:
        await anyio.wait_writable(target)
        data = data[os.write(target, data[:_CHUNK]) :]


async def _send(session: FollowedSession, data: bytes) -> None:
    session.write(data)


async def _resize(session: FollowedSession, columns: int, lines: int) -> None:
    session.resize(columns, lines)


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    import termios  # not there on Windows
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed ahead is for the host
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _is_terminal(descriptor: int) -> bool:
    return descriptor >= 0 and os.isatty(descriptor)
