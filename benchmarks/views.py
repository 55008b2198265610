"""The view of a cluster of thirty hosts: drawn, shown in a page, left alone."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import psutil
from playwright.sync_api import sync_playwright

import kutti_sdk as kutti
from benchmarks.hosts import running_hosts
from benchmarks.measure import Measurement, seconds
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.core.host import HostUsage
from kutti_sdk.core.network import DEFAULT_CIDR
from kutti_sdk.core.ports import PortForward
from kutti_sdk.core.sizes import MiB
from kutti_sdk.views.facts import ClusterFacts, HostFacts
from kutti_sdk.views.host_tables import cluster_table
from kutti_sdk.views.live.cluster_view import ClusterView
from kutti_sdk.views.tables import face_of
from kutti_sdk.views.topology import topology_picture
from tests.browser.lab_page import Notebook, chromium, jupyterlab

_HOSTS = 30
_IDLE = 60.0  # seconds that an idle view is watched
_SETTLE = 10.0  # seconds before that

_PREPARATION = f"""
import kutti_sdk as kutti
from kutti_sdk.drivers.simulated import SimulatedClock, SimulatedDriver

kutti.register_driver("simulated", SimulatedDriver(clock=SimulatedClock(speed=50)))
cluster = await kutti.cluster("many").using("simulated").nodes({_HOSTS}).ensure()
"""

# Milliseconds from the command to run a cell until it shows every host and a button.
_SHOW = f"""
async () => {{
  const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[1];
  const begun = performance.now();
  const shown = new Promise(resolve => {{
    const look = () => {{
      const running = (cell.textContent.match(/Running/g) || []).length;
      if (running >= {_HOSTS} && cell.querySelector('button')) resolve(performance.now() - begun);
    }};
    new MutationObserver(look).observe(cell, {{childList: true, subtree: true}});
  }});
  void window.jupyterapp.commands.execute('notebook:run-cell');
  return await shown;
}}
"""


async def run(rounds: int) -> list[Measurement]:
    """Measure the static face, the live view in a page, and what it costs when idle."""
    return [
        await _static(rounds),
        await anyio.to_thread.run_sync(_shown, rounds),
        await _idle(),
    ]


async def _static(rounds: int) -> Measurement:
    host = HostFacts(
        name="node1",
        status=kutti.HostStatus.RUNNING,
        ip_address="192.168.125.11",
        ssh_address="127.0.0.1:20001",
        forwards=(PortForward(20001, 22), PortForward(8080, 80)),
        k8s_version="none",
        usage=HostUsage(uptime=3600.0, cpu_time=60.0, memory=400 * MiB),
        console="Debian GNU/Linux 12 node1 ttyS0",
    )
    hosts = tuple(replace(host, name=f"node{number}") for number in range(_HOSTS))
    facts = ClusterFacts(name="many", driver="qemu", kubernetes="", cidr=DEFAULT_CIDR, hosts=hosts)

    async def draw() -> None:
        str(face_of(cluster_table(facts), topology_picture(facts)))

    times = [await seconds(draw) for _ in range(rounds * 10)]
    return Measurement(f"face of {_HOSTS} hosts", statistics.median(times), goal=0.02)


def _shown(rounds: int) -> Measurement:
    times = []
    with (
        TemporaryDirectory(prefix="kutti-lab-") as folder,
        jupyterlab(Path(folder)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        workspace = f"kutti.set_workspace({folder!r})"
        for _ in range(rounds):
            cells = (_PREPARATION.replace("\n\n", f"\n{workspace}\n", 1), "cluster")
            notebook = Notebook.open(browser, url, Path(folder), cells)
            notebook.run(0)
            notebook.cell(1).locator(".jp-InputArea").click()
            times.append(notebook.page.evaluate(_SHOW) / 1000)
            notebook.close()
        browser.close()
    return Measurement(
        f"live view of {_HOSTS} hosts, in its page", statistics.median(times), goal=1.0
    )


async def _idle() -> Measurement:
    async with running_hosts(_HOSTS) as driver:
        spec = kutti.cluster("bench").using(driver).nodes(_HOSTS)
        view = ClusterView(Cluster(spec))
        view.widget._view_count = 1  # as when a page shows it
        await anyio.sleep(_SETTLE)
        before = _cpu_seconds()
        await anyio.sleep(_IDLE)
        share = 100 * (_cpu_seconds() - before) / _IDLE
        view.close()
    return Measurement(f"idle live view of {_HOSTS} running hosts", share, goal=1.0, unit="% CPU")


def _cpu_seconds() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system
