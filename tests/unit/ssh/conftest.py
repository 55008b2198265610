"""Fixtures: a real OpenSSH server on a loopback port, a client, and a proxy that can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from ssh_harness import PATIENCE, Proxy, Server, eventually, start_server, stop_server

from kutti_sdk.runtime.island import on_island
from kutti_sdk.ssh import AsyncSSHClient


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_server(server)


async def _abort_all() -> None:
    from kutti_sdk.ssh.connections import _kept

    for hosts in list(_kept.values()):
        for connections in list(hosts.values()):
            for connection in list(connections._connections):
                connection.ssh.abort()


@pytest.fixture
async def client(sshd: Server, anyio_backend: str) -> AsyncIterator[AsyncSSHClient]:
    yield AsyncSSHClient(sshd.credentials, host="node1", connect_timeout=PATIENCE)
    await on_island(_abort_all)
    await eventually(lambda: not sshd.sessions())


@pytest.fixture
def proxy(sshd: Server) -> Iterator[Proxy]:
    between = Proxy(sshd.port)
    yield between
    between.close()
