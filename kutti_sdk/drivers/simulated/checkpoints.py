"""Checkpoints of the simulated driver: copies in memory."""

from __future__ import annotations

from kutti_sdk.core.checkpoints import CheckpointDetails, SupportsCheckpoints
from kutti_sdk.core.display import Listing
from kutti_sdk.core.errors import (
    CheckpointExistsError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    HostNotFoundError,
    HostNotRunningError,
    NetworkExistsError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated.machine import HostKey, Machine
from kutti_sdk.drivers.simulated.saved import CheckpointKey, SavedCluster
from kutti_sdk.drivers.simulated.world import World


class SimulatedCheckpoints(SupportsCheckpoints):
    """What `SimulatedDriver` does with checkpoints; the world is the driver's."""

    _world: World

    async def save_checkpoint(
        self, name: str, networkname: str, clustername: str, *, note: str = ""
    ) -> CheckpointDetails:
        """Copy the machines of a cluster."""
        key = CheckpointKey.parse(name, networkname, clustername)
        report("checkpoint", f"saving {clustername} as {name}", cluster=clustername)
        await self._world.begin("save_checkpoint", subject=key.subject)
        self._refuse_taken_name(key)
        machines_of(self._world, networkname, clustername)
        await self._world.clock.sleep(self._world.timings.save)
        with self._world.clock.lock:
            self._refuse_taken_name(key)  # somebody else may have been faster
            machines = machines_of(self._world, networkname, clustername)
            for machine in machines:
                refuse_unsavable(self._world, machine)
            saved = SavedCluster(
                key=key,
                note=note,
                created=self._world.clock.now(),
                cidr=self._world.network(networkname),
                machines=tuple(machine.save() for machine in machines),
            )
            self._world.checkpoints[key] = saved
        return saved.details()

    async def list_checkpoints(self) -> list[CheckpointDetails]:
        """List the checkpoints of all clusters."""
        await self._world.begin("list_checkpoints")
        order = sorted(
            self._world.checkpoints.values(),
            key=lambda it: (it.key.clustername, it.key.networkname, it.created),
        )
        return Listing(saved.details() for saved in order)

    async def restore_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Make the machines of a cluster what they were."""
        key = CheckpointKey.parse(name, networkname, clustername)
        await self._world.begin("restore_checkpoint", subject=key.subject)
        report("restore", f"bringing {clustername} back to {name}", cluster=clustername)
        self._find(key)
        await self._world.clock.sleep(self._world.timings.restore)
        with self._world.clock.lock:
            saved = self._find(key)
            machines = machines_of(self._world, networkname, clustername)
            if [it.key for it in machines] != [it.key for it in saved.machines]:
                raise CheckpointMismatchError(
                    f"cluster {clustername!r} has other hosts than when it was saved as {name!r}",
                    hint="Clone the checkpoint, which leaves this cluster as it is.",
                    driver=self._world.drivername,
                    cluster=clustername,
                )
            stopped = [it for it in machines if it.status is not HostStatus.RUNNING]
            self._world.check_memory([it.size for it in stopped])
            for machine, before in zip(machines, saved.machines, strict=True):
                machine.go_on_from(before)

    async def clone_checkpoint(
        self, name: str, networkname: str, clustername: str, *, to: str
    ) -> None:
        """Make machines that are what others were."""
        key = CheckpointKey.parse(name, networkname, clustername)
        validate_name(to, "cluster name")
        await self._world.begin("clone_checkpoint", subject=key.subject)
        report("clone", f"cloning {name} of {clustername} as {to}", cluster=to)
        self._find(key)
        await self._world.clock.sleep(self._world.timings.restore)
        with self._world.clock.lock:
            saved = self._find(key)
            if to in self._world.networks:
                raise NetworkExistsError(
                    f"there is a network {to!r} already",
                    hint="Choose another name.",
                    driver=self._world.drivername,
                    network=to,
                )
            self._world.check_memory([machine.size for machine in saved.machines])
            self._world.networks[to] = saved.cidr
            for before in saved.machines:
                host = HostKey(to, to, before.key.hostname)
                machine = self._world.add_machine(
                    host, before.k8s_version, before.size, before.ip_address
                )
                machine.go_on_from(before)

    async def delete_checkpoint(self, name: str, networkname: str, clustername: str) -> None:
        """Forget the copies."""
        key = CheckpointKey.parse(name, networkname, clustername)
        await self._world.begin("delete_checkpoint", subject=key.subject)
        with self._world.clock.lock:
            self._find(key)
            del self._world.checkpoints[key]

    def _find(self, key: CheckpointKey) -> SavedCluster:
        if key not in self._world.checkpoints:
            known = [it.name for it in self._world.checkpoints if it[:2] == key[:2]]
            raise CheckpointNotFoundError(
                f"cluster {key.clustername!r} has no checkpoint {key.name!r}",
                hint=f"Checkpoints it has: {', '.join(known) or 'none'}.",
                driver=self._world.drivername,
                cluster=key.clustername,
            )
        return self._world.checkpoints[key]

    def _refuse_taken_name(self, key: CheckpointKey) -> None:
        if key in self._world.checkpoints:
            raise CheckpointExistsError(
                f"cluster {key.clustername!r} has a checkpoint {key.name!r} already",
                hint="Choose another name, or delete that one.",
                driver=self._world.drivername,
                cluster=key.clustername,
            )


def machines_of(world: World, networkname: str, clustername: str) -> list[Machine]:
    """Find the machines of a cluster.

    Args:
        world: Where they are.
        networkname: Name of their network.
        clustername: Name of the cluster.

    Returns:
        The machines, ordered by name.

    Raises:
        NetworkNotFoundError: When there is no such network.
        HostNotFoundError: When the cluster has no host in it.
    """
    world.network(networkname)
    machines = [
        machine
        for host, machine in sorted(world.machines.items())
        if (host.clustername, host.networkname) == (clustername, networkname)
    ]
    if not machines:
        raise HostNotFoundError(
            f"cluster {clustername!r} has no hosts in network {networkname!r}",
            driver=world.drivername,
            network=networkname,
            cluster=clustername,
        )
    return machines


def refuse_unsavable(world: World, machine: Machine) -> None:
    """Make sure that a machine can be saved.

    Args:
        world: Where it is.
        machine: The machine.

    Raises:
        HostNotRunningError: When it does not run, or still boots.
    """
    if machine.status is not HostStatus.RUNNING or not machine.booted:
        state = "is still booting" if machine.status is HostStatus.RUNNING else "does not run"
        raise HostNotRunningError(
            f"host {machine.key.hostname!r} {state}, and cannot be saved",
            hint="Start the cluster, and wait until it is ready.",
            driver=world.drivername,
            cluster=machine.key.clustername,
            host=machine.key.hostname,
        )
