"""Finds clusters again: from another cell, another kernel, another process."""

from __future__ import annotations

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.record import ClusterRecord, as_recorded
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.clusters.store import load_records, require_record
from kutti_sdk.core.display import Listing
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.core.names import validate_name
from kutti_sdk.runtime.tasks import interruptible


@interruptible
async def attach(name: str, *, driver: VMDriver | None = None) -> Cluster:
    """Find a cluster that was made before, wherever that was; complete or not.

    Args:
        name: Name of the cluster.
        driver: Its driver, when that is not the one registered under its name.

    Returns:
        The cluster.

    Raises:
        InvalidNameError: When the name is not valid.
        ClusterNotFoundError: When there is no such cluster; names those there are.
        DriverNotFoundError: When its driver is not known here.
        InvalidInputError: When it was made with another driver than the one given.
    """
    record = await require_record(validate_name(name, "cluster name"))
    if driver is not None and driver.name != record.driver:
        raise InvalidInputError(
            f"cluster {name!r} was made with driver {record.driver!r}, not {driver.name!r}",
            hint="Leave the driver out, or give the one it was made with.",
            driver=record.driver,
            cluster=name,
        )
    found = _handle(record, driver)
    found.spec.find_driver()
    return found


@interruptible
async def list_clusters() -> list[Cluster]:
    """List all clusters of this user and workspace, complete or not.

    Returns:
        The clusters, ordered by name.

    Raises:
        CorruptStateError: When a record does not parse; it stays as it is.
    """
    return Listing(_handle(record, None) for record in await load_records())


def _handle(record: ClusterRecord, driver: VMDriver | None) -> Cluster:
    return Cluster(as_recorded(ClusterSpec(record.name, driver or record.driver), record))
