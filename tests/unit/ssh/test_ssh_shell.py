"""Interactive shells: a real terminal, driven from outside."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time

import pytest
from ssh_harness import PATIENCE, Server, processes_with

from kutti_sdk.core.errors import SSHError
from kutti_sdk.ssh import AsyncSSHClient

PROGRAM = """
import sys, termios, anyio
from pathlib import Path
from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.ssh import AsyncSSHClient
backend, address, user, key, host_key, *command = sys.argv[1:]
client = AsyncSSHClient(SSHCredentials(user, Path(key), host_key=host_key))
async def main():
    before = termios.tcgetattr(0)
    try:
        status = await client.run_interactive_shell(address, *command)
    except Exception as error:
        status = type(error).__name__
    print("ended with", status, "restored" if termios.tcgetattr(0) == before else "raw")
anyio.run(main, backend=backend)
"""


class Terminal:
    """A process in a terminal of its own."""

    def __init__(self, backend: str, server: Server, *command: str) -> None:
        credentials = server.credentials
        arguments = [
            backend,
            server.address,
            credentials.username,
            str(credentials.private_key),
            credentials.host_key or "",
            *command,
        ]
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt220"
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, *arguments])
        self.resize(100, 30)
        self.output = ""

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.output)) is None:
            ready, _, _ = select.select([self.descriptor], [], [], deadline - time.monotonic())
            assert ready, f"{pattern!r} did not come: {self.output!r}"
            try:
                self.output += os.read(self.descriptor, 4096).decode()
            except OSError:
                pytest.fail(f"ended before {pattern!r} came: {self.output!r}")
        self.output = self.output[found.end() :]
        return found

    def end(self) -> None:
        os.close(self.descriptor)
        os.waitpid(self.pid, 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_shell_in_the_terminal(sshd: Server, anyio_backend: str) -> None:
    terminal = Terminal(anyio_backend, sshd)
    try:
        terminal.type("PS1=; stty -echo; echo be''gun; tty; stty size; echo $TERM\n")
        terminal.expect("begun")
        terminal.expect("/dev/pts/")
        terminal.expect("30 100")
        terminal.expect("vt220")
        terminal.resize(77, 22)
        terminal.type("until [ \"$(stty size)\" = '22 77' ]; do sleep 0.05; done; echo resi''zed\n")
        terminal.expect("resized")
        trap = 'trap "echo inter""rupted; exit" INT'
        terminal.type(f"sh -c '{trap}; echo rea\"\"dy; while :; do sleep 0.1; done'\n")
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("interrupted")
        terminal.type("exit 7\n")
        terminal.expect("ended with 7 restored")
    finally:
        terminal.end()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_command_in_the_terminal_and_much_output(sshd: Server, anyio_backend: str) -> None:
    terminal = Terminal(anyio_backend, sshd, "stty raw -echo; seq 100000; exit 3")
    try:
        terminal.expect("\n99999\n100000\n")
        terminal.expect("ended with 3 restored")
    finally:
        terminal.end()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_lost_line_restores_the_terminal(sshd: Server, anyio_backend: str) -> None:
    before = {session.pid for session in sshd.sessions()}
    terminal = Terminal(anyio_backend, sshd, "echo begun; sleep 1000")
    try:
        terminal.expect("begun")
        for session in sshd.sessions():
            if session.pid not in before:
                session.kill()
        terminal.expect("ended with SSHConnectionError restored")
    finally:
        terminal.end()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_an_interrupt_from_outside_restores_the_terminal_and_ends_the_shell(
    sshd: Server, anyio_backend: str
) -> None:
    mark = f"sleep 7{os.getpid():07}"
    terminal = Terminal(anyio_backend, sshd, f"echo begun; {mark}; true")
    try:
        terminal.expect("begun")
        assert processes_with(f"begun; {mark}")
        os.kill(terminal.pid, signal.SIGINT)
        terminal.expect("KeyboardInterrupt")
        assert termios.tcgetattr(terminal.descriptor)[3] & termios.ICANON
    finally:
        terminal.end()
    deadline = time.monotonic() + PATIENCE
    while processes_with(mark):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.anyio
async def test_without_a_terminal_another_way_is_named(
    client: AsyncSSHClient, sshd: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryFile("w+") as file:
        monkeypatch.setattr(sys, "__stdin__", file)
        with pytest.raises(SSHError, match="no terminal") as caught:
            await client.run_interactive_shell(sshd.address)
        assert "run()" in (caught.value.hint or "")
        monkeypatch.setattr(sys, "__stdin__", None)
        with pytest.raises(SSHError, match="no terminal"):
            await client.run_interactive_shell(sshd.address)
