"""Hosts as a table, alone or as a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from kutti_sdk.core.ports import SSH_PORT
from kutti_sdk.views.checkpoint_table import checkpoints_table
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.facts import ClusterFacts, HostFacts
from kutti_sdk.views.tables import Cell, forward_list, problem_note, status_mark, table
from kutti_sdk.views.words import duration_words, memory_words

_COLUMNS = (
    "node",
    "status",
    "address",
    "SSH",
    "forwarded ports",
    "image",
    "up for",
    "CPU",
    "memory",
    "console",
)


def cluster_table(facts: ClusterFacts) -> Element:
    """Show a cluster.

    Args:
        facts: How it is.

    Returns:
        A table of its hosts, and one of its checkpoints where there are any.
    """
    caption = f"Cluster {facts.name} on {facts.driver}, {facts.kubernetes}: {facts.summary}"
    checkpoints = (
        checkpoints_table(f"Checkpoints of {facts.name}", facts.checkpoints)
        if facts.checkpoints
        else None
    )
    return element(
        "div", hosts_table(caption, facts.hosts), checkpoints, problem_note(facts.problem)
    )


def hosts_table(caption: str, hosts: Sequence[HostFacts]) -> Element:
    """Show hosts.

    Args:
        caption: What they are.
        hosts: How they are.

    Returns:
        A table.
    """
    problems = "\n".join(f"{host.name}: {host.problem}" for host in hosts if host.problem)
    return element("div", table(caption, _COLUMNS, map(_row, hosts)), problem_note(problems))


def _row(host: HostFacts) -> tuple[Cell, ...]:
    usage = host.usage
    return (
        host.name,
        status_mark(host.status),
        host.ip_address,
        host.ssh_address,
        forward_list(it for it in host.forwards if it.vm_port != SSH_PORT),
        host.k8s_version,
        duration_words(usage.uptime) if usage else "",
        "" if host.load is None else f"{host.load:.1f} CPUs",
        memory_words(usage) if usage else "",
        element("code", host.console) if host.console else "",
    )
