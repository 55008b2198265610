"""Fetching an image, beside curl and sha256sum."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

import kutti_sdk as kutti
from benchmarks.measure import Measurement, seconds
from kutti_sdk.images.catalogue import CatalogueEntry
from kutti_sdk.images.download.partial import part_of
from kutti_sdk.images.image import StoredImage
from kutti_sdk.runtime.directories import workspace

_SIZE = 1024 * 1024 * 1024
_MIB = 1024 * 1024
_GIGABIT = 125e6  # bytes per second


def image_at(url: str, checksum: str) -> StoredImage:
    """Make the image that an image list would name.

    Args:
        url: Where its file is.
        checksum: SHA-256 of the file.

    Returns:
        The image.
    """

    async def nobody(_: str) -> list[str]:
        return []

    return StoredImage("1.34.2", checksum, CatalogueEntry("1.34.2", checksum, url), nobody)


async def run_fetch(rounds: int) -> list[Measurement]:
    """Measure a fetch as fast as it goes, and the memory that it takes."""
    with _a_disk() as (disk, checksum), _served(disk) as server:
        one, other = await _beside_curl(server.url, checksum, rounds, "&& sha256sum")
        grown = statistics.median(_memory(server.url, checksum) for _ in range(rounds))
    return [
        Measurement(
            "fetch of 1 GiB", one, goal=1.05, baseline=other, baseline_name="curl && sha256sum"
        ),
        Measurement("fetch of 1 GiB: growth of memory", grown, goal=32, unit="MiB"),
    ]


async def run_gigabit(rounds: int) -> list[Measurement]:
    """Measure what verification adds on a line of 1 Gbit/s: curl alone does not verify."""
    with _a_disk() as (disk, checksum), _served(disk, _GIGABIT) as server:
        one, other = await _beside_curl(server.url, checksum, rounds, "# not verified:")
    return [
        Measurement(
            "fetch of 1 GiB at 1 Gbit/s", one, goal=1.02, baseline=other, baseline_name="curl"
        )
    ]


async def run_resume(_: int) -> list[Measurement]:
    """Measure how much is asked for after a kill at nine tenths."""
    with _a_disk() as (disk, checksum), _served(disk, _GIGABIT * 2) as server:
        command = [sys.executable, "-m", "benchmarks.fetch_once", server.url + "x"]
        with subprocess.Popen([*command, server.url, checksum], env=_environment()) as process:
            part = part_of(checksum)
            while not part.exists() or part.stat().st_size < 0.9 * disk.stat().st_size:
                await anyio.sleep(0.001)
            process.kill()
        before = len(server.asked)
        await image_at(server.url, checksum).fetch()
        asked = sum(server.asked[before:]) / _MIB
        goal = 0.1 * disk.stat().st_size / _MIB + 1
    return [Measurement("resume after a kill at 90 %", asked, goal=round(goal, 1), unit="MiB")]


async def _beside_curl(url: str, checksum: str, rounds: int, verify: str) -> tuple[float, float]:
    """Take times in turns; what loads code, and what removes files again, does not count."""
    times = []
    with TemporaryDirectory(prefix="kutti-bench-", dir=workspace()) as folder:
        file = Path(folder) / "file"
        script = f"curl -sS -o {file} {url} {verify} {file}"

        async def baseline() -> None:
            subprocess.run(["sh", "-c", script], check=True, capture_output=True)

        for number in range(rounds + 1):
            image = image_at(url, checksum)
            one, other = await seconds(image.fetch), await seconds(baseline)
            await image.purge_local()
            file.unlink()
            if number:
                times.append((one, other))
    ours, theirs = zip(*times, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def _memory(url: str, checksum: str) -> float:
    command = [sys.executable, "-m", "benchmarks.fetch_once", url + "x", url, checksum]
    output = subprocess.run(command, check=True, capture_output=True, env=_environment()).stdout
    shutil.rmtree(kutti.cache_dir() / "images")
    return float(output)


def _environment() -> dict[str, str]:
    return os.environ | {"KUTTI_WORKSPACE": str(workspace())}


@contextmanager
def _a_disk() -> Iterator[tuple[Path, str]]:
    """A disk of random bytes, its checksum, and a workspace of its own."""
    before = workspace()
    with TemporaryDirectory(prefix="kutti-bench-") as folder:
        raw, disk = Path(folder) / "raw", Path(folder) / "disk.qcow2"
        with raw.open("wb") as file:
            for _ in range(_SIZE // _MIB):
                file.write(os.urandom(_MIB))
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
        raw.unlink()
        summed = subprocess.run(["sha256sum", disk], check=True, capture_output=True).stdout
        kutti.set_workspace(folder)
        try:
            yield disk, summed.decode().split()[0]
        finally:
            kutti.set_workspace(before)


class _Server:
    """A file server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._output = process.stdout
        self.url = self._output.readline().strip()
        os.set_blocking(self._output.fileno(), False)
        self._asked: list[int] = []

    @property
    def asked(self) -> list[int]:
        """How many bytes each request asked for."""
        self._asked += map(int, self._output.read().split())
        return self._asked


@contextmanager
def _served(path: Path, rate: float | None = None) -> Iterator[_Server]:
    command = [sys.executable, "-m", "benchmarks.file_server", str(path)]
    command += [] if rate is None else [str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Server(process)
        finally:
            process.kill()
