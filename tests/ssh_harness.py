"""A real OpenSSH server on a loopback port, and a proxy before it that can be cut."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import psutil
import pytest

from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.ssh import AsyncSSHClient, generate_host_key

PATIENCE = 20.0  # seconds; only a failing test waits that long


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.02)


@dataclass(frozen=True)
class Server:
    """A running sshd."""

    address: str
    port: int
    credentials: SSHCredentials
    process: subprocess.Popen[bytes]

    def sessions(self) -> list[psutil.Process]:
        """The processes of its connections."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
        return found


def processes_with(mark: str) -> list[psutil.Process]:
    """Processes that have a text in their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def start_server(folder: Path, *more: str, accept_env: str = "LANG LC_*") -> Server:
    """Start an sshd with keys of its own and further lines of configuration."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("there is no sshd on this machine (Debian: apt install openssh-server)")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks itself in before log-in
    host_key, user_key = generate_host_key(), generate_host_key()
    for name, text in (("host", host_key.private_text), ("user", user_key.private_text)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    (folder / "authorized").write_text(user_key.public_line + "\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(
        "\n".join(
            (
                "ListenAddress 127.0.0.1",
                f"Port {port}",
                f"HostKey {folder}/host",
                f"AuthorizedKeysFile {folder}/authorized",
                "PidFile none",
                "StrictModes no",
                "UsePAM no",
                "PasswordAuthentication no",
                "PermitRootLogin yes",
                "Subsystem sftp internal-sftp",
                f"AcceptEnv {accept_env}",
                f"SetEnv HOME={folder}",  # and with it no slow start-up files of shells
                *more,
            )
        )
    )
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [program, "-D", "-e", "-f", str(folder / "config")],
        stdin=subprocess.DEVNULL,
        stderr=log,
    )
    log.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return Server(
        f"127.0.0.1:{port}",
        port,
        SSHCredentials(
            username=getpass.getuser(),
            private_key=folder / "user",
            host_key=host_key.public_line,
        ),
        process,
    )


def stop_server(server: Server) -> None:
    for session in server.sessions():
        with suppress(psutil.NoSuchProcess):
            session.kill()
    server.process.terminate()
    server.process.wait(PATIENCE)


class Proxy:
    """Passes TCP connections on to a port, until it is cut."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = 0
        self.port = port
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """End all connections; new ones are accepted."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        for one in (*self._sockets, self._listener):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            self._sockets += near, far
            for source, target in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass_on, args=(source, target))
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def other(credentials: SSHCredentials, **changes: object) -> AsyncSSHClient:
    """A client with other credentials."""
    return AsyncSSHClient(replace(credentials, **changes), connect_timeout=PATIENCE)  # type: ignore[arg-type]
