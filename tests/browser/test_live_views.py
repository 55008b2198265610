"""Views in a real JupyterLab, in a real browser, used by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import OpenNotebook
from contrast import ENOUGH, texts
from lab_page import SECONDS, Notebook
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TUTORIAL = Path(__file__).parents[2] / "notebooks" / "01-first-cluster.ipynb"

ENSURE = "cluster = await spec.ensure()"

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"


def button(place: Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


def row(place: Locator, node: str) -> Locator:
    return place.locator("tr", has=place.page.get_by_role("rowheader", name=node, exact=True))


def test_a_cluster_is_started_and_stopped_by_buttons(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(ENSURE, "cluster", "driver.faults.crash('node3')")
    notebook.run(1)
    notebook.run(2)
    view = notebook.output(2)
    expect(row(view, "node2")).to_contain_text("Running")

    view.get_by_label("Node", exact=True).select_option("node2")
    button(view, "Stop").click()
    expect(view).to_contain_text("done: stopping node2", timeout=20 * SECONDS)
    expect(row(view, "node2")).to_contain_text("Stopped")
    expect(row(view, "node1")).to_contain_text("Running")

    notebook.run(3)  # a host dies while nobody clicks
    expect(row(view, "node3")).to_contain_text("Stopped")

    button(view, "Start").click()
    expect(row(view, "node2")).to_contain_text("Running", timeout=20 * SECONDS)
    button(view, "Start").click()
    expect(view).to_contain_text("HostRunningError")
    view.get_by_text("Trace", exact=True).click()
    expect(view.get_by_text("Traceback")).to_be_visible()


def test_a_view_stays_fresh_while_a_cell_keeps_the_kernel_busy(
    open_notebook: OpenNotebook,
) -> None:
    busy = "driver.faults.crash('node2')\nimport time\ntime.sleep(60)"
    notebook = open_notebook(ENSURE, "cluster", busy)
    notebook.run(1)
    notebook.run(2)
    view = notebook.output(2)
    expect(row(view, "node2")).to_contain_text("Running")
    notebook.begin(3)
    expect(row(view, "node2")).to_contain_text("Stopped", timeout=20 * SECONDS)
    expect(notebook.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    notebook.command("notebook:interrupt-kernel")
    expect(notebook.output(3)).to_contain_text("KeyboardInterrupt")


def test_one_view_is_shown_three_times_and_closed_everywhere_at_once(
    open_notebook: OpenNotebook,
) -> None:
    count = "from ipywidgets.widgets import widget; print('models:', len(widget._instances))"
    notebook = open_notebook(ENSURE, "cluster", "cluster", "cluster", count)
    for number in range(1, 5):
        notebook.run(number)
    for number in (2, 3, 4):
        expect(row(notebook.output(number), "node1")).to_contain_text("Running")
    button(notebook.output(3), "Close view").click()
    for number in (2, 3, 4):
        expect(row(notebook.cell(number), "node1")).to_have_count(0)
    notebook.run(5)
    expect(notebook.output(5)).to_contain_text("models: 0")


def test_a_view_follows_only_while_a_page_shows_it(open_notebook: OpenNotebook) -> None:
    ask = (
        "from kutti_sdk.views.live import registry\n"
        "print([view.following for view in registry._clusters.values()])"
    )
    notebook = open_notebook(ENSURE, "cluster", ask)
    notebook.run(1)
    notebook.run(2)
    expect(row(notebook.output(2), "node1")).to_contain_text("Running")
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("[True]")
    notebook.command("notebook:clear-all-cell-outputs")
    expect(row(notebook.cell(2), "node1")).to_have_count(0)
    notebook.run(3)
    expect(notebook.output(3)).to_contain_text("[False]")


def test_an_image_is_fetched_cancelled_and_fetched_again(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("driver.clock.speed = 2", "await driver.list_images()")
    notebook.run(1)
    notebook.run(2)
    view = notebook.output(2)
    expect(row(view, "1.35.0")).to_contain_text("Not downloaded")
    view.get_by_label("Image", exact=True).select_option("1.35.0")
    button(view, "Fetch").click()
    expect(view.get_by_text(re.compile(r"of 300 MiB, .*/s, .* left"))).to_be_visible(
        timeout=20 * SECONDS
    )
    button(view, "Cancel").click()
    expect(view).to_contain_text("cancelled: fetching image 1.35.0")
    expect(row(view, "1.35.0")).to_contain_text("Not downloaded")
    button(view, "Fetch").click()
    expect(row(view, "1.35.0")).to_contain_text("● Downloaded", timeout=30 * SECONDS)


def test_interrupting_the_kernel_ends_a_bring_up_that_goes_on_later(
    open_notebook: OpenNotebook,
) -> None:
    bring_up = "with kutti.timeline():\n    cluster = await spec.ensure()"
    notebook = open_notebook(
        "driver.faults.silence_ssh('node3')", bring_up, "driver.faults.clear()"
    )
    notebook.run(1)
    notebook.begin(2)
    timeline = notebook.cell(2).locator("svg[role=img]")
    expect(timeline).to_contain_text("still going on")
    expect(timeline).to_contain_text("✔ ready", timeout=20 * SECONDS)
    notebook.command("notebook:interrupt-kernel")
    expect(timeline).to_contain_text("ended early by CancelledError")
    expect(notebook.output(2)).to_contain_text("CancelledError")
    # A kernel refuses what is sent before it has told the end of a cell that failed.
    expect(notebook.cell(2).locator(".jp-InputPrompt")).to_have_text("[3]:")
    notebook.wait_until_idle()
    notebook.run(3)
    notebook.run(2)
    expect(notebook.cell(2).locator("svg[role=img] text", has_text="✔ ready")).to_have_count(4)


def test_the_keyboard_alone_is_enough(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(ENSURE, "cluster")
    notebook.run(1)
    notebook.run(2)
    view = notebook.output(2)
    expect(row(view, "node2")).to_contain_text("Running")
    keyboard = notebook.page.keyboard

    view.get_by_label("Node", exact=True).focus()
    keyboard.press("n")  # the first that begins so
    keyboard.press("Tab")
    expect(button(view, "Start")).to_be_focused()
    for name in ("Stop", "Force stop"):
        keyboard.press("Tab")
        expect(button(view, name)).to_be_focused()
    keyboard.press("Enter")
    expect(row(view, "node1")).to_contain_text("Stopped")
    expect(row(view, "node2")).to_contain_text("Running")
    visited = _walk(notebook, view, 12)
    assert visited >= {"Console", "Delete", "Forward", "Add node", "Close view"}


def _walk(notebook: Notebook, view: Locator, steps: int) -> set[str]:
    """Press Tab, and tell what had the focus and showed it by an outline."""
    names = set()
    button(view, "Force stop").focus()
    for _ in range(steps):
        notebook.page.keyboard.press("Tab")
        focused = notebook.page.evaluate(
            "() => { const it = document.activeElement, style = getComputedStyle(it);"
            " return [it.textContent.trim(), style.outlineStyle, style.outlineWidth] }"
        )
        assert focused[1:] == ["solid", "2px"], f"{focused[0]} does not show the focus"
        names.add(focused[0])
    return names


def test_tabs_are_chosen_by_keyboard_and_a_command_runs(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(ENSURE, "cluster")
    notebook.run(1)
    notebook.run(2)
    view = notebook.output(2)
    expect(row(view, "node2")).to_contain_text("Running")
    view.get_by_role("tab", name="Nodes").focus()
    notebook.page.keyboard.press("ArrowRight")
    notebook.page.keyboard.press("Enter")
    command = view.get_by_label("Command", exact=True)
    expect(command).to_be_visible()
    command.fill("hostname")
    command.press("Tab")
    notebook.page.keyboard.press("Enter")
    expect(view).to_contain_text("done: running hostname", timeout=20 * SECONDS)
    expect(view.locator("section[aria-label=node3] pre")).to_have_text("node3\n")
    expect(view.locator("section[aria-label=node3]")).to_contain_text("✔ exit status 0")


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_text_stands_out(
    open_notebook: OpenNotebook, theme: str, screenshot: Callable[[Notebook, str], None]
) -> None:
    notebook = open_notebook(
        "with kutti.timeline():\n    cluster = await spec.ensure()\n"
        "results = await cluster.run_all('cat /etc/hostname /no/such/file')",
        "await cluster['node3'].force_stop()\ncluster",
        "await driver.list_images()",
        "kutti.PortInUseError('port 8080 is taken', hint='Choose another one.', host='node1')",
        "results",
        "await cluster.status()",
    )
    notebook.theme(theme)
    for number in range(1, 7):
        notebook.run(number)
    view = notebook.output(2)
    expect(row(view, "node3")).to_contain_text("Stopped")
    word = "light" if theme == LIGHT else "dark"
    notebook.scroll_to(1)
    screenshot(notebook, f"notebook-cluster-{word}")
    view.get_by_role("tab", name="Network").click()
    expect(view.get_by_text("gateway (NAT)")).to_be_visible()
    notebook.scroll_to(2)
    screenshot(notebook, f"notebook-network-{word}")
    measured = []
    for number in range(1, 7):
        notebook.cell(number).scroll_into_view_if_needed()
        measured += texts(notebook.output(number))
    notebook.scroll_to(3)
    screenshot(notebook, f"notebook-results-{word}")
    assert len(measured) > 100
    pale = {(it.text, round(it.contrast, 2)) for it in measured if it.contrast < ENOUGH}
    assert not pale


def test_the_notebook_of_the_tutorial_runs(open_notebook: OpenNotebook) -> None:
    cells = [
        "".join(cell["source"])
        for cell in json.loads(TUTORIAL.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]
    preparation = (
        "import kutti_sdk as kutti\n"
        "from kutti_sdk.drivers.simulated import SimulatedDriver\n"
        "driver = SimulatedDriver(name='qemu')\n"
        "driver.commands.answer('ping *', stdout='64 bytes from node2')\n"
        "kutti.register_driver('qemu', driver)"
    )
    notebook = open_notebook(*cells, preparation=preparation)
    for number in range(1, len(cells) + 1):
        notebook.run(number)
    expect(notebook.output(1)).to_contain_text("Spec lab on qemu")
    expect(notebook.output(len(cells))).to_have_text("[]\n")
    assert notebook.page.locator(".jp-RenderedText[data-mime-type*=error]").count() == 0
