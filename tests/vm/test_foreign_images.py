"""Images as kutti publishes them: imported from an .ova, booted by firmware, reached by SSH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import ova_builder
import pytest
from machine_images import OVA_FOLDER

import kutti_sdk as kutti
from kutti_sdk.core.events import ProgressEvent, observe
from kutti_sdk.core.ssh import SSHCredentials
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.drivers.qemu.enrolment import PUBLISHED_USER
from kutti_sdk.drivers.qemu.layout import network_files
from kutti_sdk.images.manifest import Firmware
from kutti_sdk.ssh.client import AsyncSSHClient

pytestmark = pytest.mark.anyio

_CHECK = """
hostname; cat /etc/machine-id /sys/class/dmi/id/product_uuid; ip -4 -br address
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One backend: what differs between the two is tested without machines of minutes."""
    return "trio"


async def _imported(kernel_arguments: str, version: str, firmware: Firmware) -> None:
    ova = await anyio.to_thread.run_sync(
        ova_builder.build_ova, OVA_FOLDER, kernel_arguments, firmware
    )
    await QemuDriver().import_image(ova, version)


@pytest.fixture
async def version(request: pytest.FixtureRequest, vm_workspace: Path) -> AsyncIterator[str]:
    """A version whose image is removed after the test."""
    name = "1.29.1"
    yield name
    await (await QemuDriver().get_image(name)).purge_local()


async def test_an_ova_boots_by_bios_and_takes_its_identity_from_credentials(
    version: str, scratch: str, vm_workspace: Path
) -> None:
    await _imported(ova_builder.WITH_CREDENTIALS, version, "bios")
    events: list[ProgressEvent] = []
    with observe(events.append):
        cluster = await _spec(scratch, version).ensure()

    await _check_identity(cluster)
    await _check_passwords_are_closed(cluster)
    assert "enrol" not in {event.phase for event in events}


@pytest.mark.slow
async def test_an_older_system_boots_by_efi_and_is_set_up_over_its_published_user_once(
    version: str, scratch: str, vm_workspace: Path
) -> None:
    await _imported(ova_builder.WITHOUT_CREDENTIALS, version, "efi")
    events: list[ProgressEvent] = []
    with observe(events.append):
        cluster = await _spec(scratch, version).ensure()

    assert (await cluster["node1"].run("test -d /sys/firmware/efi")).ok
    await _check_identity(cluster)
    await _check_passwords_are_closed(cluster)
    shadow = await cluster["node1"].run("cut -d: -f1,2 /etc/shadow | grep '[$]'", check=True)
    assert {line.split(":")[1][0] for line in shadow.stdout.splitlines()} == {"!"}
    assert [event.phase for event in events].count("enrol") == 1
    assert not network_files(scratch).host(scratch, "node1").enrolment.exists()

    # It is still that host after a restart, and nobody uses the password again.
    events.clear()
    with observe(events.append):
        await cluster.stop()
        await cluster.start()
    await _check_identity(cluster)
    assert "enrol" not in {event.phase for event in events}


def _spec(name: str, version: str) -> kutti.ClusterSpec:
    spec = kutti.cluster(name).kubernetes(version).bare()
    return spec.nodes(1, cpus=2, memory="1GiB", disk="20GiB")


async def _check_identity(cluster: kutti.Cluster) -> None:
    told = (await cluster["node1"].run(_CHECK, check=True)).stdout.split()
    assert told[0] == "node1"
    assert told[1] == told[2].replace("-", ""), "its machine id is its own"
    assert "192.168.125.11/24" in told


async def _check_passwords_are_closed(cluster: kutti.Cluster) -> None:
    host = await cluster["node1"].host()
    known = (await host.ssh_credentials()).host_key
    published = SSHCredentials(PUBLISHED_USER, password=ova_builder.PASSWORD, host_key=known)
    with pytest.raises(kutti.SSHAuthenticationError):
        await AsyncSSHClient(published).run_with_results(await host.ssh_address(), "true")
