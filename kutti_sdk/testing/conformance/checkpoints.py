"""Checkpoints: what is refused, and what comes back; left out where a driver has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.checkpoints import SupportsCheckpoints
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import (
    CheckpointExistsError,
    CheckpointNotFoundError,
    HostNotFoundError,
    HostNotRunningError,
    InvalidNameError,
    NetworkExistsError,
    NetworkNotFoundError,
)
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.status import HostStatus
from kutti_sdk.testing.conformance.hooks import ConformanceHooks, Lab, nothing_touched


class Checkpoints(ConformanceHooks):
    """What cannot be saved, brought back or copied is refused, and nothing is touched."""

    @pytest.fixture
    def saver(self, driver: VMDriver) -> SupportsCheckpoints:
        """Give the driver as one that saves clusters."""
        return _saver(driver)

    async def test_only_what_is_there_can_be_saved(
        self, driver: VMDriver, saver: SupportsCheckpoints, lab: Lab
    ) -> None:
        """A network, with a host of the cluster in it, that runs."""
        with pytest.raises(NetworkNotFoundError):
            await saver.save_checkpoint("one", lab.network, lab.cluster)
        await lab.add_network()
        with pytest.raises(HostNotFoundError):
            await saver.save_checkpoint("one", lab.network, lab.cluster)
        await lab.add_host()
        async with nothing_touched(driver):
            with pytest.raises(HostNotRunningError) as refusal:
                await saver.save_checkpoint("one", lab.network, lab.cluster)
        assert refusal.value.hint
        assert not [it for it in await saver.list_checkpoints() if it.clustername == lab.cluster]

    @pytest.mark.parametrize("name", ["", "a/b", "..", "Before", "n" * 33])
    async def test_bad_names_of_checkpoints_are_refused(
        self, driver: VMDriver, saver: SupportsCheckpoints, lab: Lab, name: str
    ) -> None:
        """Of those that are made, and of those that are looked for."""
        await lab.add_host()
        async with nothing_touched(driver):
            for attempt in (
                saver.save_checkpoint(name, lab.network, lab.cluster),
                saver.restore_checkpoint(name, lab.network, lab.cluster),
                saver.clone_checkpoint("one", lab.network, lab.cluster, to=name),
                saver.delete_checkpoint(name, lab.network, lab.cluster),
            ):
                with pytest.raises(InvalidNameError) as refusal:
                    await attempt
                assert refusal.value.hint

    async def test_a_checkpoint_that_is_not_there_is_not_found(
        self, driver: VMDriver, saver: SupportsCheckpoints, lab: Lab
    ) -> None:
        """Whatever is to be done with it."""
        await lab.add_host()
        async with nothing_touched(driver):
            for attempt in (
                saver.restore_checkpoint("one", lab.network, lab.cluster),
                saver.clone_checkpoint("one", lab.network, lab.cluster, to=lab.name("copy")),
                saver.delete_checkpoint("one", lab.network, lab.cluster),
            ):
                with pytest.raises(CheckpointNotFoundError) as refusal:
                    await attempt
                assert refusal.value.hint


class SavedGuests(ConformanceHooks):
    """What was saved comes back, and can be had twice."""

    async def test_a_cluster_comes_back_as_it_was_saved(
        self, driver: VMDriver, twins: tuple[VMHost, VMHost], tmp_path: Path
    ) -> None:
        """Its files, its forwards, its way in; the twin does not notice."""
        saver, host = _saver(driver), twins[0]
        place = host.networkname, host.clustername
        forwards = await host.forwards()
        before, after = Lab.name("before"), Lab.name("after")
        await leave(host, before, tmp_path)
        details = await saver.save_checkpoint("one", *place, note="first")
        assert [it.name for it in details.hosts] == [host.name]
        assert (details.hosts[0].size, details.note) == (host.size, "first")
        assert details in await saver.list_checkpoints()
        with pytest.raises(CheckpointExistsError) as refusal:
            await saver.save_checkpoint("one", *place)
        assert refusal.value.hint
        await leave(host, after, tmp_path)
        await saver.restore_checkpoint("one", *place)
        assert await host.status() is HostStatus.RUNNING
        assert await host.forwards() == forwards
        await self.wait_until_booted(host)
        assert await is_there(host, before)
        assert not await is_there(host, after)
        await saver.delete_checkpoint("one", *place)
        assert details not in await saver.list_checkpoints()
        assert await host.status() is await twins[1].status() is HostStatus.RUNNING

    async def test_a_copy_is_a_cluster_of_its_own(
        self, driver: VMDriver, twins: tuple[VMHost, VMHost], tmp_path: Path
    ) -> None:
        """Alike until it was saved; it outlives the checkpoint, and the other outlives it."""
        saver, host = _saver(driver), twins[0]
        place = host.networkname, host.clustername
        shared, only, name = Lab.name("shared"), Lab.name("only"), Lab.name("copy")
        await leave(host, shared, tmp_path)
        await saver.save_checkpoint("two", *place)
        with pytest.raises(NetworkExistsError) as refusal:
            await saver.clone_checkpoint("two", *place, to=host.networkname)
        assert refusal.value.hint
        await saver.clone_checkpoint("two", *place, to=name)
        await saver.delete_checkpoint("two", *place)
        copy = await driver.get_host(host.name, name, name)
        try:
            assert (copy.ip_address, copy.size) == (host.ip_address, host.size)
            assert await copy.forwards() == ()
            await copy.forward_ssh_port()
            await self.wait_until_booted(copy)
            assert await is_there(copy, shared)
            await leave(copy, only, tmp_path)
            assert not await is_there(host, only)
        finally:
            await copy.force_stop()
            await driver.delete_host(host.name, name, name)
            await driver.delete_network(name)
        assert await host.status() is HostStatus.RUNNING
        assert await is_there(host, shared)


def _saver(driver: VMDriver) -> SupportsCheckpoints:
    if not isinstance(driver, SupportsCheckpoints):
        pytest.skip("this driver does not save clusters")
    return driver


async def leave(host: VMHost, name: str, local: Path, *, folder: str = "/root") -> None:
    """Leave a file on a host.

    Args:
        host: The host, booted.
        name: Name of the file, which is its content as well.
        local: Folder of this machine to make it in.
        folder: Folder of the host to put it in.
    """
    note = local / name
    note.write_text(name)
    client = await host.ssh_client()
    await client.put(await host.ssh_address(), note, f"{folder}/{name}")
    await client.aclose()


async def is_there(host: VMHost, name: str, *, folder: str = "/root") -> bool:
    """Tell whether a file is on a host that `leave` left.

    Args:
        host: The host, booted.
        name: Name of the file.
        folder: Folder of the host that it is in.

    Returns:
        Whether it is there, with its content.
    """
    client = await host.ssh_client()
    result = await client.run_with_results(await host.ssh_address(), f"cat {folder}/{name}")
    await client.aclose()
    return result.stdout == name
