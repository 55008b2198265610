"""What QEMU's words for the state of a machine mean."""

from __future__ import annotations

from typing import Any

import pytest

from kutti_sdk.drivers.qemu.qmp import Monitor
from kutti_sdk.drivers.qemu.run_state import RunState, ask_run_state

pytestmark = pytest.mark.anyio


class Answers(Monitor):
    """Answers the two questions without a QEMU, which cannot be brought into all of its states."""

    def __init__(self, state: str, move: str | None) -> None:
        self._answers: dict[str, dict[str, object]] = {
            "query-status": {"status": state},
            "query-migrate": {} if move is None else {"status": move},
        }

    async def execute(self, command: str, **arguments: object) -> Any:
        return self._answers[command]


@pytest.mark.parametrize(
    ("state", "move", "expected"),
    [
        ("running", None, RunState.RUNS),
        ("running", "completed", RunState.RUNS),
        ("running", "cancelled", RunState.RUNS),
        ("running", "active", RunState.STANDS_STILL),
        ("suspended", None, RunState.RUNS),
        ("paused", None, RunState.STANDS_STILL),
        ("finish-migrate", "pre-switchover", RunState.STANDS_STILL),
        ("postmigrate", "completed", RunState.STANDS_STILL),
        ("inmigrate", None, RunState.WAITS),
        ("shutdown", None, RunState.ENDED),
        ("io-error", None, RunState.FAILED),
        ("guest-panicked", None, RunState.FAILED),
        ("a word of later years", None, RunState.FAILED),
    ],
)
async def test_a_machine_that_is_moved_or_paused_stands_still(
    state: str, move: str | None, expected: RunState
) -> None:
    assert await ask_run_state(Answers(state, move)) is expected
