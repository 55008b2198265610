"""Run the benchmarks and print their table."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

import anyio
from rich.console import Console
from rich.table import Table

import kutti_sdk as kutti
from benchmarks import (
    bring_up,
    checkpoints,
    commands,
    downloads,
    hosts,
    imports,
    kubernetes,
    ova_import,
    views,
    warm_start,
)
from benchmarks.measure import Measurement

WORKSPACE = Path(os.environ.get("KUTTI_TEST_WORKSPACE", Path(__file__).parents[1] / ".workspace"))

BENCHMARKS = {
    "import": imports.run,
    "create": hosts.run_create,
    "list": hosts.run_list,
    "bring-up": bring_up.run,
    "warm-start": warm_start.run_one,
    "warm-many": warm_start.run_many,
    "command": commands.run,
    "fetch": downloads.run_fetch,
    "fetch-gigabit": downloads.run_gigabit,
    "resume": downloads.run_resume,
    "ova-import": ova_import.run,
    "views": views.run,
    "kubernetes": kubernetes.run,
    "checkpoint": checkpoints.run,
    "checkpoint-memory": checkpoints.run_memory,
    "checkpoint-kubernetes": checkpoints.run_kubernetes,
}


def main() -> None:
    """Run those that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all"
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--hosts", type=int, default=warm_start.MANY, help="of warm-many; default: %(default)s"
    )
    options = parser.parse_args()
    benchmarks = BENCHMARKS | {"warm-many": partial(warm_start.run_many, hosts=options.hosts)}
    kutti.set_workspace(WORKSPACE)
    console = Console(width=110)
    measurements: list[Measurement] = []
    for name in options.names or BENCHMARKS:
        console.print(f"[dim]{name} ...")
        measurements += anyio.run(benchmarks[name], options.rounds)
    console.print(_table(measurements))


def _table(measurements: list[Measurement]) -> Table:
    table = Table()
    for heading in ("What", "kutti_sdk", "Baseline", "Ratio or time", "Goal", ""):
        table.add_column(heading)
    for it in measurements:
        table.add_row(
            it.what,
            f"{it.ours * 1000:.1f} ms" if it.unit == "s" else f"{it.ours:.1f} {it.unit}",
            "" if it.baseline is None else f"{it.baseline * 1000:.1f} ms  ({it.baseline_name})",
            f"{it.value:.2f} x" if it.baseline is not None else f"{it.value:.3f} {it.unit}",
            f"{it.goal:g} {'x' if it.baseline is not None else it.unit}",
            "[green]reached" if it.value <= it.goal else "[red]missed",
        )
    return table


main()
