"""Suspension in the simulated driver: machines that keep what they are, and take no memory."""

from __future__ import annotations

from kutti_sdk.core.errors import HostNotRunningError
from kutti_sdk.core.events import report
from kutti_sdk.core.names import validate_name
from kutti_sdk.core.status import AT_REST, HostStatus
from kutti_sdk.core.suspension import SupportsSuspension
from kutti_sdk.drivers.simulated.checkpoints import machines_of, refuse_unsavable
from kutti_sdk.drivers.simulated.effects import Subject
from kutti_sdk.drivers.simulated.machine import Machine
from kutti_sdk.drivers.simulated.world import World


class SimulatedSuspension(SupportsSuspension):
    """What `SimulatedDriver` does to suspend clusters; the world is the driver's."""

    _world: World

    async def suspend_cluster(self, networkname: str, clustername: str) -> None:
        """Suspend the machines of a cluster that run."""
        validate_name(networkname, "network name")
        validate_name(clustername, "cluster name")
        subject = Subject(cluster=clustername, network=networkname)
        report("suspend", f"suspending {clustername}", cluster=clustername)
        await self._world.begin("suspend_cluster", subject=subject)
        self._running(networkname, clustername)
        await self._world.clock.sleep(self._world.timings.save)
        with self._world.clock.lock:
            running = self._running(networkname, clustername)
            for machine in running:
                refuse_unsavable(self._world, machine)
            for machine in running:
                machine.suspend()

    def _running(self, networkname: str, clustername: str) -> list[Machine]:
        machines = machines_of(self._world, networkname, clustername)
        if all(machine.status is HostStatus.STOPPED for machine in machines):
            raise HostNotRunningError(
                f"no host of cluster {clustername!r} runs",
                hint="A stopped cluster takes no memory either.",
                driver=self._world.drivername,
                cluster=clustername,
            )
        return [machine for machine in machines if machine.status not in AT_REST]
