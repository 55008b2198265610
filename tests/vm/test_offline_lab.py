"""A lab without internet: a bundle is carried to a machine that has nothing."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

import kutti_sdk as kutti
from kutti_sdk.core.status import ImageStatus
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.runtime.directories import cache_dir, set_workspace

pytestmark = pytest.mark.anyio


@pytest.fixture
def bundle(vm_workspace: Path, tmp_path: Path) -> Iterator[Path]:
    """The node image as a bundle, and a machine that has nothing."""

    async def export() -> None:
        image = await QemuDriver().get_image("none")
        await image.export(tmp_path / "lab.kutti")

    anyio.run(export)
    known = vm_workspace / "cache"
    with TemporaryDirectory(prefix="kutti-bundle-") as folder:
        set_workspace(folder)
        for probed in known.glob("*.json"):  # what is known of this machine's accelerators
            shutil.copy(probed, cache_dir())
        yield tmp_path / "lab.kutti"
        set_workspace(vm_workspace)


@pytest.fixture
async def student(bundle: Path) -> AsyncIterator[QemuDriver]:
    yield QemuDriver()
    with anyio.CancelScope(shield=True):
        for cluster in await kutti.list_clusters():
            await cluster.delete()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cluster_runs_from_an_image_that_came_as_a_bundle(
    student: QemuDriver, bundle: Path
) -> None:
    assert await student.list_images() == []
    image = await student.import_image(bundle)
    assert await image.status() is ImageStatus.DOWNLOADED
    cluster = await kutti.cluster("lab").nodes(1, cpus=1, memory="384MiB").ensure()
    assert (await cluster["node1"].run("hostname")).stdout == "node1\n"
    with pytest.raises(kutti.ImageInUseError):
        await image.purge_local()
    await cluster.delete()
    assert [copy.checksum for copy in await student.prune_images()] == [image.checksum]
    assert await student.list_images() == []
