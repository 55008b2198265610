"""A program that performs an operation and kills itself at a point of your choice.

It reads lines of JSON from standard input, `Order`s, and answers each with a line: how
the process that followed it ended, as `os.waitstatus_to_exitcode` tells. Every order is
followed by a process of its own, forked from this one, which has imported everything.

Points are what can be seen from outside: a file of the workspace opened to be written,
a name made, changed or removed, a connection begun, a signal sent, a program started;
each just before it happens, which is just after all that came before. The start of a
program has a point after it as well. Python itself tells of these things (PEP 578, audit
hooks): the product has no part in it.

A command to a QEMU is a point too, unless it only asks. Python does not tell of those, and
so what gives them is wrapped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio
import msgspec
import qemu_lab
from tortured_operations import (
    HOST_OPERATIONS,
    IMAGE_OPERATIONS,
    MEMORY_OPERATIONS,
    RESTORE,
)

from kutti_sdk.drivers.qemu.qmp import Monitor
from kutti_sdk.runtime.directories import set_workspace

_EVENTS = frozenset(
    {
        "os.chmod",
        "os.kill",
        "os.link",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "shutil.rmtree",
        "socket.connect",
        "subprocess.Popen",
    }
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Order(msgspec.Struct):
    """What to do.

    Attributes:
        operation: Name of the operation.
        point: Where to be killed, counted from 1.
        backend: ``asyncio`` or ``trio``.
        workspace: Folder to keep everything below.
        image_list: The list of published images.
        folder: For files that the operation makes.
        port: The port that is forwarded.
    """

    operation: str
    point: int
    backend: str
    workspace: str
    image_list: str
    folder: str
    port: int


def main() -> None:
    """Follow orders until there are no more."""
    sys.dont_write_bytecode = True
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if child == 0:
            _follow(order)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _follow(order: Order) -> None:
    """Perform an operation; ends the process in any case."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        set_workspace(order.workspace)
        lab = qemu_lab.make_lab(Path(order.image_list), Path(order.folder), order.port)
        known = (*HOST_OPERATIONS, *MEMORY_OPERATIONS, RESTORE, *IMAGE_OPERATIONS)
        operations = {it.name: it for it in known}
        with qemu_lab.expect_no_system_inside():
            _kill_at(order.point, order.workspace)
            anyio.run(operations[order.operation].act, lab, backend=order.backend)
    except BaseException:  # noqa: BLE001 - whatever it was, it is told
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _kill_at(point: int, workspace: str) -> None:
    left = point

    def passed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def changes_something(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "os.mkdir":
            return not Path(arguments[0]).exists()
        if event == "open":
            path, _, flags = arguments
            here = bool(flags & _WRITES) and str(path).startswith(workspace)
            # A lock that exists is opened again and again by those who wait for it.
            return here and not (str(path).endswith(".lock") and Path(path).exists())
        return event in _EVENTS

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if changes_something(event, arguments):
            passed()

    start = subprocess.Popen.__init__

    def start_and_pass(*arguments: Any, **options: Any) -> None:
        start(*arguments, **options)
        passed()

    execute = Monitor.execute

    async def pass_and_execute(monitor: Monitor, command: str, **arguments: object) -> Any:
        if command != "qmp_capabilities" and not command.startswith("query-"):
            passed()
        return await execute(monitor, command, **arguments)

    subprocess.Popen.__init__ = start_and_pass
    Monitor.execute = pass_and_execute
    sys.addaudithook(listen)


if __name__ == "__main__":
    main()
