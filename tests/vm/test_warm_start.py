"""New nodes go on from a template of their image; one boots because that was damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import kutti_sdk as kutti
from kutti_sdk.drivers.qemu.templates import store

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

# What no two nodes may have in common, in one line each; the last is the same on a cluster.
_IDENTITY = (
    "hostname; cat /etc/machine-id /sys/class/dmi/id/product_uuid /sys/class/net/eth0/address; "
    "cat /etc/ssh/ssh_host_ed25519_key.pub; ip -4 -o address show eth0; "
    "head -c 16 /dev/urandom | od -An -tx1; cat /root/.ssh/authorized_keys"
)
_RANDOM = -2
_PING = "ping -c 1 -W 10 node1 && ping -c 1 -W 10 node2 && ping -c 1 -W 10 node3"


@pytest.fixture
async def image(vm_workspace: object) -> AsyncIterator[kutti.VMImage]:
    """The node image, without templates before and after."""
    image = await kutti.get_driver("qemu").get_image("none")
    await image.cool_down()
    yield image
    await image.cool_down()


async def test_nodes_of_one_template_are_somebody_each_and_boot_as_such(
    scratch: str, image: kutti.VMImage, caplog: pytest.LogCaptureFixture
) -> None:
    await image.warm_up(cpus=1, memory="512MiB")
    spec = kutti.cluster(scratch).nodes(2, cpus=1, memory="512MiB")
    cluster = await spec.ensure()
    for node in cluster:
        assert not await node.logs(), "it has nothing to say, since it did not boot"
    before = _lines(await cluster["node1"].run(_IDENTITY, check=True))

    # Where a node reads who it is, and who the others are.
    told = "hostname; getent hosts node1; networkctl status eth0; journalctl -n 1; date +%s"
    for result in await cluster.run_all(f"set -e; {told}; test ! -e /etc/hostname"):
        assert result.ok, result.stderr
        assert result.stdout.startswith(f"{result.host}\n192.168.125.11 ")
        assert "10-kutti.network" in result.stdout
        assert "No entries" not in result.stdout
    failed = await cluster.run_all("systemctl --failed --no-legend")
    assert not "".join(result.stdout for result in failed)

    # What is damaged now is linked by node3, which boots; node1 boots since it was stopped.
    (template,) = await store.load_templates()
    devices = template.files.state.devices
    devices.write_bytes(b"\0" * devices.stat().st_size)
    await cluster["node1"].stop()
    cluster = await spec.nodes(3).ensure()
    assert "node3 boots, because its template cannot be used" in caplog.text
    assert await cluster["node1"].logs()
    assert await store.load_templates() == []

    identities = [_lines(it) for it in await cluster.run_all(_IDENTITY, check=True)]
    for of_nodes in list(zip(*identities, strict=True))[:-1]:
        assert len(set(of_nodes)) == 3, of_nodes
    after = identities[0]
    del before[_RANDOM], after[_RANDOM]
    assert after == before, "it is itself, whether it goes on or boots"
    await cluster.run_all(_PING, check=True)


def _lines(result: kutti.CommandResult) -> list[str]:
    return [line.strip() for line in result.stdout.splitlines()]
