"""The live view of a cluster: pushed, cancelled, complained to, closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import anyio
import pytest
from ipywidgets import Widget
from markup import parse, rows

import kutti_sdk as kutti
from kutti_sdk.clusters.spec import ClusterSpec
from kutti_sdk.drivers.simulated import SimulatedClock, SimulatedDriver
from kutti_sdk.views.live import follower
from kutti_sdk.views.live.cluster_view import ClusterView
from kutti_sdk.views.live.registry import live_widget

pytestmark = pytest.mark.anyio

_STEP = 0.02


@pytest.fixture
def driver() -> SimulatedDriver:
    return SimulatedDriver(clock=SimulatedClock(speed=50))


@pytest.fixture
def models() -> Callable[[], int]:
    """Tells how many models there are more than at the beginning of the test."""
    from ipywidgets.widgets import widget

    before = len(widget._instances)
    return lambda: len(widget._instances) - before


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until something is the case: views are drawn on the island, when it has time."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(_STEP)


class Looker:
    """Somebody who looks at a live view and clicks."""

    def __init__(self, view: ClusterView) -> None:
        self.view = view

    def look(self, views: int = 1) -> None:
        """Do what a page does when it shows the view, or does so no more."""
        self.view.widget._view_count = views

    @property
    def widgets(self) -> list[Any]:
        return list(_below(self.view.widget))

    def control(self, text: str) -> Any:
        """The button or field with a label."""
        (found,) = (it for it in self.widgets if getattr(it, "description", "") == text)
        return found

    def click(self, text: str) -> None:
        self.control(text).click()

    def choose(self, node: str) -> None:
        self.control("Node").value = node

    @property
    def page(self) -> str:
        """All that is to be read."""
        return "\n".join(it.value for it in self.widgets if type(it).__name__ == "HTML")

    @property
    def statuses(self) -> list[str]:
        return [
            row["status"].split()[-1] for row in rows(parse(self.view.widget.children[0].value))
        ]


def _below(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _below(child)


def is_shown(root: Any, wanted: Any) -> bool:
    """Whether a page shows a widget that is below another."""
    if root.layout.display == "none":
        return False
    below = getattr(root, "children", ())
    return root is wanted or any(is_shown(child, wanted) for child in below)


@pytest.fixture
async def looker(lab: ClusterSpec) -> AsyncIterator[Looker]:
    """Somebody who looks at a cluster of two running nodes."""
    looker = Looker(ClusterView(await lab.ensure()))
    looker.look()
    await eventually(lambda: looker.statuses == ["Running", "Running"])
    yield looker
    looker.view.close()


async def test_a_host_that_dies_is_shown_as_stopped(
    driver: SimulatedDriver, looker: Looker
) -> None:
    driver.faults.crash("node2")
    await eventually(lambda: looker.statuses == ["Running", "Stopped"])


async def test_a_host_that_disappears_is_missing(driver: SimulatedDriver, looker: Looker) -> None:
    host = await driver.get_host("node1", "lab", "lab")
    await host.force_stop()
    await driver.delete_host("node1", "lab", "lab")
    await eventually(lambda: looker.statuses == ["missing", "Running"])


async def test_buttons_start_and_stop_the_node_that_is_chosen(looker: Looker) -> None:
    looker.choose("node2")
    looker.click("Stop")
    await eventually(lambda: looker.statuses == ["Running", "Stopped"])
    await eventually(lambda: "done: stopping node2" in looker.page)
    looker.click("Start")
    await eventually(lambda: looker.statuses == ["Running", "Running"])


async def test_buttons_are_off_while_something_goes_on_and_cancel_is_on(
    driver: SimulatedDriver, looker: Looker
) -> None:
    driver.faults.hang("stop", host="node1")
    looker.choose("node1")
    looker.click("Stop")
    cancel = next(it for it in looker.widgets if getattr(it, "description", "") == "Cancel")
    assert looker.control("Start").disabled
    assert looker.control("Delete").disabled
    assert is_shown(looker.view.widget, cancel)
    await eventually(lambda: "stopping node1" in looker.page)
    cancel.click()
    await eventually(lambda: "cancelled: stopping node1" in looker.page)
    assert not looker.control("Start").disabled
    assert not is_shown(looker.view.widget, cancel)


async def test_an_error_is_shown_in_the_view_with_its_hint_and_trace(
    driver: SimulatedDriver, looker: Looker
) -> None:
    looker.choose("node1")
    looker.click("Start")
    await eventually(lambda: "HostRunningError" in looker.page)
    driver.faults.fail(
        "force_stop", error=kutti.HypervisorError("<b>bad</b>", hint="Do this."), times=1
    )
    looker.click("Force stop")
    await eventually(lambda: "&lt;b&gt;bad&lt;/b&gt;" in looker.page)
    assert "Do this." in looker.page
    assert "Traceback" in looker.page
    assert "<b>bad" not in looker.page


async def test_delete_asks_twice(looker: Looker, driver: SimulatedDriver) -> None:
    looker.choose("node2")
    looker.click("Delete")
    looker.click("Really delete node2?")
    await eventually(lambda: looker.statuses == ["Running"])


async def test_another_choice_takes_the_first_click_on_delete_back(
    looker: Looker, driver: SimulatedDriver
) -> None:
    looker.choose("node2")
    looker.click("Delete")
    looker.choose("node1")
    looker.click("Delete")
    looker.click("Keep it")
    assert looker.control("Delete")
    assert len(await driver.list_hosts()) == 2


async def test_a_port_is_forwarded_and_a_node_added(
    looker: Looker, driver: SimulatedDriver
) -> None:
    looker.choose("node2")
    looker.control("Port of this machine (0 for any)").value = 9090
    looker.click("Forward")
    await eventually(lambda: "127.0.0.1:9090 to 80" in looker.page)
    looker.control("New node").value = " node3 "
    looker.click("Add node")
    await eventually(lambda: looker.statuses == ["Running"] * 3)
    assert looker.control("Node").options == ("all nodes", "node1", "node2", "node3")
    assert looker.control("Node").value == "node2"


async def test_a_port_of_all_nodes_is_refused_with_a_hint(looker: Looker) -> None:
    looker.click("Forward")
    await eventually(lambda: "Choose the one to forward to." in looker.page)


async def test_consoles_are_shown_on_request(looker: Looker) -> None:
    looker.choose("node1")
    looker.control("Console").value = True
    await eventually(lambda: "Console of node1" in looker.page)
    assert "Linux version simulated, booting node1" in looker.page
    looker.control("Console").value = False
    await eventually(lambda: "Console of node1" not in looker.page)


async def test_a_command_runs_on_chosen_nodes_side_by_side(
    looker: Looker, driver: SimulatedDriver
) -> None:
    driver.commands.answer("check", stdout="<i>fine</i>\n")
    driver.commands.answer("check", exit_status=3, stderr="broken\n", host="node2")
    looker.control("Command").value = "check"
    looker.click("Run")
    await eventually(lambda: "done: running check" in looker.page)
    await eventually(lambda: "exit status 3" in looker.page)
    assert "&lt;i&gt;fine&lt;/i&gt;" in looker.page

    looker.control("Nodes").value = ["node2"]
    looker.click("Run")
    await eventually(lambda: "&lt;i&gt;fine&lt;/i&gt;" not in looker.page)


async def test_a_node_that_cannot_be_reached_hides_no_output_of_the_others(
    looker: Looker, driver: SimulatedDriver
) -> None:
    driver.faults.fail("stream", host="node1", error=kutti.SSHConnectionError("the line is cut"))
    driver.commands.answer("check", stdout="fine\n")
    looker.control("Command").value = "check"
    looker.click("Run")
    await eventually(lambda: "the line is cut" in looker.page and "fine" in looker.page)


async def test_an_empty_command_is_refused(looker: Looker) -> None:
    looker.click("Run")
    await eventually(lambda: "there is no command" in looker.page)


async def test_a_cluster_that_nobody_looks_at_costs_nothing(lab: ClusterSpec) -> None:
    view = ClusterView(await lab.ensure())
    looker = Looker(view)
    assert not view.following
    looker.look(1)
    assert view.following
    looker.look(2)
    looker.look(1)
    assert view.following
    looker.look(0)
    assert not view.following
    looker.look(1)
    await eventually(lambda: looker.statuses == ["Running", "Running"])
    view.close()
    assert not view.following


async def test_closing_frees_all_models(lab: ClusterSpec, models: Callable[[], int]) -> None:
    cluster = await lab.ensure()
    looker = Looker(ClusterView(cluster))
    looker.look()
    await eventually(lambda: looker.statuses == ["Running", "Running"])
    assert models() > 20
    looker.click("Close view")
    assert models() == 0


async def test_a_view_of_thirty_nodes_has_no_more_models_than_one_of_two(
    driver: SimulatedDriver, lab: ClusterSpec, models: Callable[[], int]
) -> None:
    small = ClusterView(await lab.ensure())
    of_small = models()
    small.close()
    large = ClusterView(await lab.named("large").without_forward(to=80).nodes(30).ensure())
    assert models() == of_small
    large.close()


async def test_nothing_that_comes_after_closing_does_harm(
    driver: SimulatedDriver, looker: Looker
) -> None:
    driver.faults.hang("stop", host="node1")
    looker.choose("node1")
    looker.click("Stop")
    looker.view.close()
    looker.look(0)
    looker.click("Start")
    looker.view.show(looker.view._cluster)
    looker.view.close()
    driver.faults.crash("node1")
    await anyio.sleep(0.5)
    assert not looker.view.following


async def test_one_cluster_has_one_view_however_often_it_is_shown(
    lab: ClusterSpec, models: Callable[[], int]
) -> None:
    cluster = await lab.ensure()
    widget = live_widget(cluster)
    of_one = models()
    assert live_widget(cluster) is widget
    assert live_widget(await lab.ensure()) is widget
    assert models() == of_one
    next(it for it in _below(widget) if getattr(it, "description", "") == "Close view").click()
    again = live_widget(cluster)
    assert again is not widget
    next(it for it in _below(again) if getattr(it, "description", "") == "Close view").click()
    assert models() == 0


class BrokenWatch(SimulatedDriver):
    """A driver whose `watch` fails for a while."""

    broken = True

    def watch(self) -> AsyncIterator[kutti.HostChange]:
        if self.broken:
            raise RuntimeError("the <watch> is broken")
        return super().watch()


async def test_a_driver_that_fails_to_watch_is_told_and_tried_again(
    workspace: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_FIRST_RETRY", 0.05)
    driver = BrokenWatch()
    spec = kutti.cluster("lab").using(driver)
    looker = Looker(ClusterView(await spec.ensure()))
    looker.look()
    await eventually(lambda: "the &lt;watch&gt; is broken" in looker.page)
    assert looker.statuses == ["Running"], "what can be asked is shown all the same"
    driver.broken = False
    await eventually(lambda: "is broken" not in looker.page)
    driver.faults.crash("node1")
    await eventually(lambda: looker.statuses == ["Stopped"])
    looker.view.close()


async def test_pictures_are_drawn_four_times_a_second_at_most(
    driver: SimulatedDriver, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    show = looker.view._show

    def count(facts: Any) -> None:
        drawn.append(anyio.current_time())
        show(facts)

    monkeypatch.setattr(looker.view, "_show", count)
    host = await driver.get_host("node1", "lab", "lab")
    for _ in range(5):
        await host.force_stop()
        await host.start()
    await anyio.sleep(1)
    assert drawn
    assert all(later - earlier >= 0.24 for earlier, later in pairwise(drawn))


async def test_widgets_are_all_of_the_stock(looker: Looker) -> None:
    assert all(isinstance(it, Widget) for it in looker.widgets)
    assert {type(it).__module__.split(".")[0] for it in looker.widgets} == {"ipywidgets"}
