"""What QEMU says about a host's machine: whether it runs, stands still, or waits to begin."""

from __future__ import annotations

from enum import Enum, auto

from kutti_sdk.drivers.qemu.qmp import Monitor


class RunState(Enum):
    """What a machine does."""

    RUNS = auto()
    """It runs, and goes on running."""

    STANDS_STILL = auto()
    """It stands still with all it had, or will: QEMU stops one that it has moved away."""

    WAITS = auto()
    """It waits for a saved state, and has nothing yet."""

    ENDED = auto()
    """It has switched itself off."""

    FAILED = auto()
    """QEMU has stopped it, because its disk is full perhaps."""


# Source: RunState in QEMU's qapi/run-state.json. All others are of failures.
_STATES = {
    "running": RunState.RUNS,
    "debug": RunState.RUNS,
    "suspended": RunState.RUNS,  # asleep, as the system inside wishes
    "prelaunch": RunState.RUNS,
    "paused": RunState.STANDS_STILL,
    "finish-migrate": RunState.STANDS_STILL,
    "postmigrate": RunState.STANDS_STILL,
    "inmigrate": RunState.WAITS,
    "shutdown": RunState.ENDED,
}

# Source: MigrationStatus in QEMU's qapi/migration.json.
_MOVES = frozenset({"setup", "active", "pre-switchover", "device"})


async def ask_run_state(qemu: Monitor) -> RunState:
    """Ask a QEMU what its machine does.

    Args:
        qemu: Its monitor.

    Returns:
        What it does.

    Raises:
        HypervisorError: When QEMU refuses to tell.
    """
    status = (await qemu.execute("query-status"))["status"]
    state = _STATES.get(status, RunState.FAILED)
    if state is RunState.RUNS:
        move = (await qemu.execute("query-migrate")).get("status")
        return RunState.STANDS_STILL if move in _MOVES else RunState.RUNS
    return state
