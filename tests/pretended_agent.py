"""A guest agent that is pretended: a disk of one sector has none."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.drivers.qemu import resume
from kutti_sdk.drivers.qemu.checkpoints import examination
from kutti_sdk.drivers.qemu.templates import making

BEGIN = """\
from pretended_agent import PretendedAgent, pretend
pretended = pretend(PretendedAgent())
pretended.__enter__()
"""
"""How a program begins in which agents are pretended as well."""


class PretendedAgent:
    """Does nothing that it is told, and remembers it.

    Attributes:
        values: What the scripts were given that it was to run.
        error: What it fails with from now on.
    """

    def __init__(self) -> None:
        self.values: list[str] = []
        self.error: Exception | None = None

    async def behind(self) -> int:
        return 0

    async def run(self, interpreter: str, script: bytes) -> None:
        self.values.append(script.decode().partition("__DATA__\n")[2])
        if self.error is not None:
            raise self.error


@contextmanager
def pretend(agent: PretendedAgent) -> Iterator[None]:
    """Let all hosts have the same agent, in this process, for a block."""

    @asynccontextmanager
    async def guest_agent(_: Path, **__: Any) -> AsyncIterator[PretendedAgent]:
        yield agent

    with pytest.MonkeyPatch.context() as patch:
        for module in (examination, making, resume):
            patch.setattr(module, "guest_agent", guest_agent)
        yield


def environment(**more: str) -> dict[str, str]:
    """The environment of a program that can import what tests can.

    Args:
        **more: What it has besides that.
    """
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | more
