"""``ensure()`` of two hosts beside a shell script that does the same.

The script makes the same overlays, starts the very command lines that the
driver started (read from the running processes), and polls with OpenSSH until a
command is answered on both hosts.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

import kutti_sdk as kutti
from benchmarks.measure import Measurement, seconds
from benchmarks.openssh import options_for
from kutti_sdk.drivers.qemu import records

_NAME = "bench"


async def run(rounds: int) -> list[Measurement]:
    """Measure bringing up two hosts, in turns with the script."""
    spec = kutti.cluster(_NAME).cold().nodes(2, cpus=1, memory="512MiB")

    async def ours() -> None:
        cluster = await spec.ensure()
        for result in await cluster.run_all("hostname"):
            assert result.ok

    times = []
    for _ in range(rounds):
        with TemporaryDirectory(prefix="kutti-bench-") as folder:
            mine = await seconds(ours)
            cluster = await kutti.attach(_NAME)
            script = Path(folder) / "bring-up.sh"
            script.write_text(await script_for(cluster, folder))
            await cluster.force_stop()

            async def baseline(script: Path = script) -> None:
                subprocess.run(["bash", script], check=True)

            times.append((mine, await seconds(baseline)))
            await cluster.delete()
    one, other = zip(*times, strict=True)
    return [
        Measurement(
            "ensure() of 2 hosts to a command on both",
            statistics.median(one),
            goal=1.10,
            baseline=statistics.median(other),
            baseline_name="shell script, same QEMU",
        )
    ]


async def script_for(cluster: kutti.Cluster, folder: str) -> str:
    """Write a script that starts a cluster's hosts from nothing, and waits for ssh.

    Args:
        cluster: The cluster, which runs now.
        folder: Where the script runs.

    Returns:
        The script.
    """
    network = await records.load_network(cluster.name)
    hosts = await records.load_hosts(cluster.name)
    lines = ["set -eu", f"cd {shlex.quote(folder)}"]
    for host in hosts:
        disk = host.disk_path
        chain = subprocess.run(
            ["qemu-img", "info", "--force-share", "--output=json", disk],
            capture_output=True,
            check=True,
        )
        backing = _backing_file(chain.stdout)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"]
        create += ["-b", backing, str(disk), str(host.size.disk)]
        lines += [f"rm {shlex.quote(str(disk))}", shlex.join(create)]
    forwards = "".join(
        f",hostfwd=tcp:{forward.address}:{forward.host_port}-{host.address}:{forward.vm_port}"
        for host in hosts
        for forward in host.forwards
    )
    gateway = [
        argument + forwards if argument.startswith("user,") else argument
        for argument in _command_line(network.files.gateway_pid)
    ]
    lines += [shlex.join(_command_line(network.files.switch_pid)), shlex.join(gateway)]
    lines += [shlex.join(_command_line(host.files.pid)) for host in hosts]
    for node in cluster:
        options = shlex.join(await options_for(cluster, node, folder))
        attempt = f"ssh {options} -o ConnectTimeout=2 root@host hostname"
        lines.append(f"(until {attempt} >/dev/null 2>&1; do sleep 0.1; done) &")
    return "\n".join([*lines, "wait", ""])


def _backing_file(information: bytes) -> str:
    return str(json.loads(information)["backing-filename"])


def _command_line(pidfile: Path) -> list[str]:
    return psutil.Process(int(pidfile.read_text())).cmdline()
