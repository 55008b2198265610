"""A command over a kept connection, beside OpenSSH with ControlMaster."""

from __future__ import annotations

import subprocess
from tempfile import TemporaryDirectory

import kutti_sdk as kutti
from benchmarks.measure import Measurement, alternating
from benchmarks.openssh import options_for

_COMMANDS = 20


async def run(rounds: int) -> list[Measurement]:
    """Measure commands one after the other on a running host."""
    with TemporaryDirectory(prefix="kutti-bench-") as folder:
        async with kutti.cluster("bench").nodes(1, cpus=1, memory="512MiB").ephemeral() as cluster:
            node = cluster["node1"]
            command = ["ssh", *await options_for(cluster, node, folder)]
            command += ["-o", "ControlMaster=auto", "-o", f"ControlPath={folder}/control"]
            command += ["-o", "ControlPersist=60", "root@host", "true"]

            async def ours() -> None:
                for _ in range(_COMMANDS):
                    await node.run("true", check=True)

            async def baseline() -> None:
                for _ in range(_COMMANDS):
                    subprocess.run(command, check=True, capture_output=True)

            await ours()  # both have a connection from here on
            await baseline()
            one, other = await alternating(ours, baseline, rounds * 3)
            subprocess.run([*command[:-2], "-O", "exit", "root@host"], capture_output=True)
    return [
        Measurement(
            "a command over a kept connection",
            one / _COMMANDS,
            goal=1.0,
            baseline=other / _COMMANDS,
            baseline_name="ssh with ControlMaster",
        )
    ]
