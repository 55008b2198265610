"""A notebook without a page: cells are sent to a real kernel, and interrupted."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager, start_new_async_kernel

_STEP = 0.02
_ENDED = "it ended at "
_TIMED = f"""\
import time
try:
{{}}
finally:
    print({_ENDED!r}, time.time(), sep="")
"""

BACKENDS = [("asyncio", "CancelledError"), ("trio", "KeyboardInterrupt")]
"""What cells can run under, and what an interrupted one ends with there."""


class Notebook:
    """A kernel and whoever types into it.

    Attributes:
        ended_after: Seconds from the last interrupt to the end of what the cell awaited.
        told_after: Seconds until the kernel had also written the traceback, and told all.
    """

    def __init__(self, manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
        self._manager = manager
        self._client = client
        self._printed = ""
        self.ended_after = self.told_after = 0.0

    async def run(self, cell: str) -> str:
        """Run a cell; give what it printed and the name of its error, if any."""
        self._printed = ""

        def hook(message: dict[str, Any]) -> None:
            self._printed += message["content"].get("text", "")

        reply = await self._client.execute_interactive(cell, timeout=60, output_hook=hook)
        return self._printed + str(reply["content"].get("ename", ""))

    async def run_interrupted(self, cell: str, begun: Callable[[], bool] | None = None) -> str:
        """Do the same, and interrupt the cell.

        Args:
            cell: The cell.
            begun: Tells when; without it the cell prints that it begins.
        """
        begins = begun or (lambda: "it begins" in self._printed)
        running = asyncio.create_task(self.run(_TIMED.format(textwrap.indent(cell, "    "))))
        while not running.done() and not begins():
            await asyncio.sleep(_STEP)
        await asyncio.sleep(0.5)  # until everything waits; an early one would be seen anyway
        await self._manager.interrupt_kernel()
        interrupted = time.time()
        before, ended, after = (await running).partition(_ENDED)
        assert ended, before
        at, _, after = after.partition("\n")
        self.ended_after = float(at) - interrupted
        self.told_after = time.time() - interrupted
        return before + after


@asynccontextmanager
async def new_kernel() -> AsyncIterator[Notebook]:
    """Run a kernel for as long as the block lasts."""
    manager, client = await start_new_async_kernel(kernel_name="python3")
    try:
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel()
