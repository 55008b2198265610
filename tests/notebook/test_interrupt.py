""" "Interrupt kernel" ends what is awaited, and leaves daemons alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kernel_notebook import BACKENDS, new_kernel

from kutti_sdk.runtime.processes import identity_from_pidfile, is_alive

pytestmark = [pytest.mark.notebook, pytest.mark.anyio, pytest.mark.timeout(120)]

DAEMON = Path(__file__).parents[1] / "unit" / "runtime" / "daemon.py"

FOR_AN_HOUR = """
import anyio
from kutti_sdk.runtime.tasks import interruptible

@interruptible
async def operation():
    print("it begins", flush=True)
    try:
        await anyio.sleep(3600)
    finally:
        print("it cleans up", flush=True)

await operation()
"""

ON_THE_ISLAND = """
import asyncio
from kutti_sdk.runtime.island import on_island
from kutti_sdk.runtime.tasks import interruptible

async def operation():
    print("it begins", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        print("it cleans up", flush=True)

await interruptible(on_island)(operation)
"""


@pytest.fixture
def anyio_backend() -> str:
    """Talk to kernels under asyncio, whatever their cells run under."""
    return "asyncio"


@pytest.mark.parametrize(("backend", "error"), BACKENDS)
@pytest.mark.parametrize("cell", [FOR_AN_HOUR, ON_THE_ISLAND], ids=["at home", "on the island"])
async def test_a_cell_that_awaits_for_an_hour_can_be_interrupted(
    cell: str, backend: str, error: str
) -> None:
    async with new_kernel() as notebook:
        await notebook.run(f"%autoawait {backend}")
        assert await notebook.run_interrupted(cell) == f"it begins\nit cleans up\n{error}"
        assert await notebook.run("print('and goes on')") == "and goes on\n"


@pytest.mark.parametrize(("backend", "error"), BACKENDS)
async def test_a_daemon_survives_interrupt_and_shutdown_of_the_kernel(
    tmp_path: Path, backend: str, error: str
) -> None:
    pidfile = tmp_path / "daemon.pid"
    setting = f"""
from pathlib import Path
from kutti_sdk.runtime.processes import identity_from_pidfile, start_daemon, terminate

pidfile = Path({str(pidfile)!r})
argv = [{sys.executable!r}, {str(DAEMON)!r}, str(pidfile), str(pidfile), "ready"]
%autoawait {backend}
"""
    async with new_kernel() as notebook:
        await notebook.run(setting)
        printed = await notebook.run("print(await start_daemon(argv, pidfile, mark=str(pidfile)))")
        identity = identity_from_pidfile(pidfile, mark=str(pidfile))
        assert identity is not None
        assert printed == f"{identity}\n"
        assert (await notebook.run_interrupted(FOR_AN_HOUR)).endswith(error)
        assert is_alive(identity)
    assert is_alive(identity)
    async with new_kernel() as notebook:  # which finds it again
        await notebook.run(setting)
        await notebook.run("await terminate(identity_from_pidfile(pidfile, mark=str(pidfile)))")
    assert not is_alive(identity)
