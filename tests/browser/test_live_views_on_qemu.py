"""The view of a real virtual machine: killed, started, interrupted, found again.

A test takes over the cluster as the one before left it: with a boot for each, emulated
machines would keep a browser waiting for minutes.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from anyio.from_thread import start_blocking_portal
from conftest import OpenNotebook
from lab_page import SECONDS, Notebook
from playwright.sync_api import Locator, expect

import kutti_sdk as kutti

pytestmark = [pytest.mark.browser, pytest.mark.vm, pytest.mark.timeout(300)]

NAME = "t-page"

PREPARATION = f"""
import kutti_sdk as kutti

spec = kutti.cluster({NAME!r}).nodes(1, cpus=1, memory="512MiB")
"""

ENSURE = "with kutti.timeline():\n    cluster = await spec.ensure()"

BOOT = 120 * SECONDS  # emulated, on a busy machine

# When the status of the node in a view becomes Stopped, in seconds since the epoch.
WAIT_FOR_STOPPED = """
view => {
  window.stopped = new Promise(resolve => {
    const look = () => {
      if (view.querySelector('tbody tr')?.textContent.includes('Stopped'))
        resolve(Date.now() / 1000);
    };
    new MutationObserver(look).observe(view, {childList: true, subtree: true});
  });
}
"""


@pytest.fixture(scope="class")
def machines(vm_workspace: Path) -> Iterator[Path]:
    """The workspace of the virtual machines; the cluster of these tests is not left in it."""
    delete_cluster()
    yield vm_workspace
    delete_cluster()


def delete_cluster() -> None:
    async def delete() -> None:
        try:
            await (await kutti.attach(NAME)).delete()
        except kutti.ClusterNotFoundError:
            pass

    with start_blocking_portal() as portal:
        portal.call(delete)


@pytest.fixture
def open_lab(open_notebook: OpenNotebook, machines: Path) -> Callable[..., Notebook]:
    """Open a notebook on the QEMU driver, its first cell a spec of one node."""
    return lambda *cells: open_notebook(*cells, preparation=PREPARATION, workspace=machines)


def node1(view: Locator) -> Locator:
    return view.locator("tbody tr").first


class TestOneClusterInItsPage:
    """Bring-up, kill, start, restart of the kernel, all with one cluster."""

    def test_an_interrupted_bring_up_is_gone_on_with(
        self, open_lab: Callable[..., Notebook]
    ) -> None:
        notebook = open_lab(ENSURE, "cluster")
        notebook.begin(1)
        timeline = notebook.cell(1).locator("svg[role=img]")
        expect(timeline).to_contain_text("boot", timeout=BOOT)
        notebook.command("notebook:interrupt-kernel")
        expect(timeline).to_contain_text("ended early by CancelledError")
        expect(notebook.cell(1).locator(".jp-InputPrompt")).to_have_text("[2]:")
        notebook.wait_until_idle()

        notebook.run(1, timeout=BOOT / SECONDS)
        expect(timeline.locator("text", has_text="✔ ready")).to_have_count(2)
        notebook.run(2)
        expect(node1(notebook.output(2))).to_contain_text("● Running")

    def test_a_machine_that_is_killed_shows_as_stopped_and_a_click_starts_it(
        self,
        open_lab: Callable[..., Notebook],
        record_testsuite_property: Callable[[str, object], None],
    ) -> None:
        notebook = open_lab(ENSURE, "cluster")
        notebook.run(1, timeout=BOOT / SECONDS)
        notebook.run(2)
        view = notebook.output(2)
        expect(node1(view)).to_contain_text("● Running")

        view.evaluate(WAIT_FOR_STOPPED)
        killed = time.time()
        qemu().send_signal(signal.SIGKILL)
        expect(node1(view)).to_contain_text("■ Stopped")
        shown = notebook.page.evaluate("() => window.stopped")
        delay = f"{shown - killed:.3f}"
        record_testsuite_property("seconds from kill -9 to Stopped in the page", delay)

        view.get_by_label("Node", exact=True).select_option("node1")
        view.get_by_role("button", name="Start", exact=True).click()
        expect(view).to_contain_text("done: starting node1", timeout=BOOT)
        expect(node1(view)).to_contain_text("● Running")

    def test_a_restarted_kernel_finds_the_cluster_running(
        self, open_lab: Callable[..., Notebook]
    ) -> None:
        attach = f"cluster = await kutti.attach({NAME!r})\ncluster"
        notebook = open_lab(ENSURE, attach)
        notebook.run(1, timeout=BOOT / SECONDS)
        before = qemu()
        notebook.restart_kernel()
        assert before.is_running()
        notebook.run(0)
        notebook.run(2)
        expect(node1(notebook.output(2))).to_contain_text("● Running")
        assert qemu() == before


def qemu() -> psutil.Process:
    """The process of the cluster's only host."""
    (found,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if f"{NAME}-node1" in " ".join(process.info["cmdline"] or ())
    )
    return found
