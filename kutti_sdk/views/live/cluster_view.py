"""A cluster that is looked at: its nodes, commands on them, its network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import ipywidgets

from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.core.driver import HostChange
from kutti_sdk.core.errors import KuttiError
from kutti_sdk.runtime.island import start_on_island
from kutti_sdk.runtime.tasks import run_all
from kutti_sdk.views import questions
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.error_face import error_face
from kutti_sdk.views.facts import ClusterFacts
from kutti_sdk.views.host_tables import cluster_table
from kutti_sdk.views.live.controls import Controls
from kutti_sdk.views.live.follower import Follower, follow_while_viewed
from kutti_sdk.views.live.node_panel import NodePanel
from kutti_sdk.views.live.run_panel import RunPanel
from kutti_sdk.views.live.task_panel import TaskPanel
from kutti_sdk.views.live.tree import close_tree
from kutti_sdk.views.tables import face_of
from kutti_sdk.views.topology import topology_picture

_CONSOLE_LINES = 20


class ClusterView:
    """The live view of a cluster.

    Args:
        cluster: The cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._facts: ClusterFacts | None = None
        self._complaint: Exception | None = None
        self._closed = False
        self._follower = Follower(self._changes, self._look, self._complain)
        controls = Controls()
        self._tasks = TaskPanel(controls, self._follower.poke)
        self._nodes = NodePanel(controls, self._tasks, self._handle, self._look_soon)
        self._run = RunPanel(controls, self._handle)
        self._table = controls.html()
        self._consoles = controls.html()
        self._network = controls.html()
        close = controls.button("Close view", "Close this view; the cluster stays as it is")
        close.on_click(lambda _: self.close())
        tabs = ipywidgets.Tab(
            [
                controls.column(self._nodes.widget, self._tasks.widget, self._consoles),
                self._run.widget,
                self._network,
            ],
            titles=["Nodes", "Run a command", "Network"],
        )
        self.widget: Any = controls.column(self._table, tabs, controls.row(close))
        self._show(questions.unknown_cluster(cluster))
        self.widget.add_class("kutti-view")
        follow_while_viewed(self.widget, self._follower)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def following(self) -> bool:
        """Whether it looks at the cluster, because somebody looks at it."""
        return self._follower.running

    def show(self, cluster: Cluster) -> None:
        """Show the cluster by another handle, which may know newer nodes.

        Args:
            cluster: The handle.
        """
        self._cluster = cluster
        self._look_soon()

    def close(self) -> None:
        """End what it does, and free all of its models; the cluster stays as it is."""
        self._closed = True
        self._follower.stop()
        self._tasks.close()
        self._run.close()
        close_tree(self.widget)

    def _handle(self) -> Cluster:
        return self._cluster

    def _changes(self) -> AsyncIterator[HostChange]:
        return self._cluster.watch()

    def _look_soon(self) -> None:
        async def poke() -> None:
            self._follower.poke()

        start_on_island(poke)

    def _complain(self, error: Exception | None) -> None:
        if error is not None or self._complaint is not None:
            self._complaint = error
            self._follower.poke()

    async def _look(self) -> None:
        facts = await questions.read_cluster(self._cluster)
        names = self._nodes.consoles
        consoles = await run_all(*(partial(self._read_console, name) for name in names))
        if not self._closed:
            self._show(facts.since(self._facts))
            columns = element("div", *consoles, class_="columns") if consoles else None
            _set(self._consoles, columns and face_of(columns))

    async def _read_console(self, name: str) -> Element:
        try:
            text = await self._nodes.node(name).logs(_CONSOLE_LINES)
        except KuttiError as error:
            return error_face(error)
        heading = element("p", f"Console of {name}:")
        return element("section", heading, element("pre", text, tabindex="0"))

    def _show(self, facts: ClusterFacts) -> None:
        self._facts = facts
        names = [host.name for host in facts.hosts]
        self._nodes.set_names(names)
        self._run.set_names(names)
        complaint = error_face(self._complaint) if self._complaint is not None else None
        _set(self._table, face_of(complaint, cluster_table(facts)))
        _set(self._network, face_of(topology_picture(facts)))


def _set(place: Any, shown: Element | None) -> None:
    place.value = str(shown or "")  # which tells the page nothing when it is the same as before
