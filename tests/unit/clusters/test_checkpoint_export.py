"""Checkpoints of clusters in files: what they bring with them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kutti_sdk.clusters.attachment import attach, list_clusters
from kutti_sdk.clusters.checkpoint_bundles import import_checkpoint
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.core.checkpoints import (
    CarriedCheckpoint,
    CheckpointDetails,
    SupportsCheckpointBundles,
)
from kutti_sdk.core.errors import (
    CheckpointsUnsupportedError,
    ClusterExistsError,
    HypervisorError,
    ImageFormatError,
    InvalidNameError,
)
from kutti_sdk.drivers.simulated import SimulatedDriver
from kutti_sdk.drivers.simulated.saved import CheckpointKey, SavedCluster

pytestmark = pytest.mark.anyio


class CarryingDriver(SimulatedDriver, SupportsCheckpointBundles):
    """Carries checkpoints in memory; the file has the description only."""

    carried: SavedCluster
    error: Exception | None = None

    async def export_checkpoint(
        self,
        name: str,
        networkname: str,
        clustername: str,
        path: Path,
        *,
        description: bytes = b"",
        replace: bool = False,
    ) -> None:
        assert replace is False
        self.carried = self._world.checkpoints[CheckpointKey.parse(name, networkname, clustername)]
        path.write_bytes(description)

    async def inspect_checkpoint(self, path: Path) -> CarriedCheckpoint:
        return CarriedCheckpoint(self.carried.details(), path.read_bytes())

    async def import_checkpoint(self, path: Path, *, to: str) -> CheckpointDetails:
        await self.create_network(to)
        if self.error is not None:
            raise self.error
        assert path.exists()
        saved = replace(
            self.carried,
            key=CheckpointKey(to, to, self.carried.key.name),
            cidr=IPv4Network("192.168.125.0/24"),
        )
        self._world.checkpoints[saved.key] = saved
        return saved.details()


@pytest.fixture
def carrier() -> CarryingDriver:
    return CarryingDriver()


@pytest.fixture
async def file(lab: ClusterSpec, carrier: CarryingDriver, tmp_path: Path) -> Path:
    cluster = await lab.using(carrier).forward(8080, to=80, node="node1").ensure()
    saved = await cluster.checkpoint("start", note="exercise 3")
    await saved.export(tmp_path / "start")
    await cluster.delete()
    return tmp_path / "start"


async def test_what_was_imported_is_found_and_copied_and_deleted(
    file: Path, carrier: CarryingDriver
) -> None:
    brought = await import_checkpoint(file, "exercise3", driver=carrier)
    assert (brought.name, brought.clustername) == ("start", "exercise3")
    found = await attach("exercise3", driver=carrier)
    (again,) = await found.checkpoints()
    copy = await again.clone("student07")
    assert (await copy.status()).running
    assert [it.vm_port for it in await copy["node1"].forwards()] in ([22, 80], [80, 22])
    assert [node.status for node in (await found.status()).nodes] == [None, None]
    await found.delete()
    assert (await copy.status()).running
    assert [it.name for it in await list_clusters()] == ["student07"]


async def test_without_a_name_it_has_that_of_the_saved_cluster(
    file: Path, carrier: CarryingDriver
) -> None:
    assert (await import_checkpoint(file, driver=carrier)).clustername == "lab"
    with pytest.raises(ClusterExistsError):
        await import_checkpoint(file, driver=carrier)
    assert [it.name for it in await list_clusters()] == ["lab"]


async def test_nothing_is_left_of_an_import_that_failed(
    file: Path, carrier: CarryingDriver
) -> None:
    carrier.error = HypervisorError("no room")
    with pytest.raises(HypervisorError, match="no room"):
        await import_checkpoint(file, driver=carrier)
    assert await list_clusters() == []
    assert await carrier.list_networks() == []


async def test_bad_names_and_files_are_refused_before_anything_is_made(
    file: Path, carrier: CarryingDriver
) -> None:
    with pytest.raises(InvalidNameError):
        await import_checkpoint(file, "../lab", driver=carrier)
    file.write_bytes(b"{}")
    with pytest.raises(ImageFormatError):
        await import_checkpoint(file, driver=carrier)
    with pytest.raises(CheckpointsUnsupportedError) as refusal:
        await import_checkpoint(file, driver=SimulatedDriver())
    assert refusal.value.hint
    assert await list_clusters() == []
