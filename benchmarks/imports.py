"""``import kutti_sdk``."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.measure import Measurement

_PROGRAM = """
import time
begun = time.perf_counter()
import kutti_sdk
print(time.perf_counter() - begun)
"""


async def run(rounds: int) -> list[Measurement]:
    """Measure the import in fresh interpreters."""
    times = [
        float(subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True).stdout)
        for _ in range(rounds * 3)
    ]
    return [Measurement("import kutti_sdk", statistics.median(times), goal=0.15)]
