"""What takes long ends when the kernel is interrupted, and can be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer
from image_samples import qcow2_disk
from kernel_notebook import BACKENDS, Notebook, new_kernel
from server_faults import Stall
from ssh_harness import Server, eventually, processes_with, start_server, stop_server

pytestmark = [
    pytest.mark.notebook,
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.parametrize(("backend", "error"), BACKENDS),
]

DISK = qcow2_disk()
HALF = len(DISK) // 2

Record = Callable[[Notebook, str], None]


@pytest.fixture
def anyio_backend() -> str:
    """Talk to kernels under asyncio, whatever their cells run under."""
    return "asyncio"


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("sshd"))
    yield server
    stop_server(server)


@pytest.fixture
def record(record_testsuite_property: Callable[[str, object], None]) -> Record:
    """Keep how long an interrupted cell went on, in seconds; it is no reason to fail."""

    def keep(notebook: Notebook, what: str) -> None:
        seconds = f"{notebook.ended_after:.2f} s, with its traceback {notebook.told_after:.2f} s"
        record_testsuite_property(f"interrupted {what}", seconds)

    return keep


async def prepared(notebook: Notebook, backend: str, workspace: Path) -> None:
    await notebook.run(f"%autoawait {backend}")
    first = f"import kutti_sdk as kutti\nkutti.set_workspace({str(workspace)!r})"
    assert await notebook.run(first) == ""


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")
async def test_a_fetch_goes_on_where_it_was_interrupted(
    backend: str,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record: Record,
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FaultServer() as server:
        server.files["/disk"] = DISK
        server.faults["/disk"] = [Stall(after=HALF)]
        image = {
            "ImageK8sVersion": "1.34.2",
            "ImageChecksum": hashlib.sha256(DISK).hexdigest(),
            "ImageSourceURL": server.url("/disk"),
            "ImageStatus": "Notdownloaded",
            "ImageDeprecated": False,
        }
        server.files["/list"] = json.dumps({"1.34.2": image}).encode()
        monkeypatch.setenv("KUTTI_QEMU_IMAGE_LIST", server.url("/list"))
        async with new_kernel() as notebook:
            await prepared(notebook, backend, tmp_path)
            found = (
                "driver = kutti.get_driver('qemu')\n"
                "await driver.fetch_image_list()\n"
                "image = await driver.get_image('1.34.2')"
            )
            assert await notebook.run(found) == ""
            stalled = await notebook.run_interrupted(
                "await image.fetch()",
                lambda: [it.sent for it in server.asked("/disk")] == [HALF],
            )
            assert stalled == error
            record(notebook, f"fetch, {backend}")
            fetched = await notebook.run("await image.fetch()\nprint(await image.status())")
            assert fetched == "Downloaded\n"
        assert [it.first_byte for it in server.asked("/disk")] == [0, HALF]


CALLS = ["cluster['node1'].run", "cluster.run_all"]

# A simulated cluster whose hosts are reached over real SSH.
CLUSTER = """
from pathlib import Path
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.drivers.simulated.host import SimulatedHost
from kutti_sdk.ssh import AsyncSSHClient

async def address(host):
    return {server.address!r}

async def client(host):
    credentials = kutti.SSHCredentials(
        username={server.credentials.username!r},
        private_key=Path({key!r}),
        host_key={server.credentials.host_key!r},
    )
    return AsyncSSHClient(credentials, host=host.name)

cluster = await kutti.cluster("lab").using(SimulatedDriver()).nodes(2).ensure()
SimulatedHost.ssh_address, SimulatedHost.ssh_client = address, client
"""


@pytest.fixture
def ssh_cluster(sshd: Server) -> str:
    """A cell that makes a cluster whose hosts are the SSH server of this machine."""
    return CLUSTER.format(server=sshd, key=str(sshd.credentials.private_key))


@pytest.mark.parametrize("call", CALLS)
async def test_a_command_ends_on_the_host_too_and_the_next_one_runs(
    backend: str, error: str, call: str, *, ssh_cluster: str, tmp_path: Path, record: Record
) -> None:
    command = f"tail -F {tmp_path}/never"
    async with new_kernel() as notebook:
        await prepared(notebook, backend, tmp_path)
        assert await notebook.run(ssh_cluster) == ""
        interrupted = await notebook.run_interrupted(
            f"await {call}({command!r})", lambda: bool(processes_with(command))
        )
        assert interrupted == error
        record(notebook, f"{call}, {backend}")
        await eventually(lambda: not processes_with(command))
        again = "print((await cluster['node1'].run('echo again')).stdout, end='')"
        assert await notebook.run(again) == "again\n"
