"""An SSH client for simulated hosts: addresses, time and failures as with real ones."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike

from kutti_sdk.core.errors import (
    CommandFailedError,
    CommandTimeoutError,
    HostKeyMismatchError,
    SSHConnectionError,
    SSHError,
)
from kutti_sdk.core.events import report
from kutti_sdk.core.ports import SSH_PORT
from kutti_sdk.core.ssh import (
    DEFAULT_CONNECT_TIMEOUT,
    CommandResult,
    Output,
    RunningCommand,
    SSHClient,
    parse_address,
)
from kutti_sdk.core.status import HostStatus
from kutti_sdk.drivers.simulated.commands import CommandCall
from kutti_sdk.drivers.simulated.kubernetes import perform_kubernetes
from kutti_sdk.drivers.simulated.machine import HostKey, Machine
from kutti_sdk.drivers.simulated.shell import Pause, Performance, perform_answer, perform_line
from kutti_sdk.drivers.simulated.transfer import copy_from_host, copy_to_host
from kutti_sdk.drivers.simulated.world import World


class SimulatedSSHClient(SSHClient):
    """Runs commands in a pretended shell, and scripted ones as they were scripted.

    Args:
        world: The world.
        key: The host that it expects at every address it is given.
    """

    def __init__(self, world: World, key: HostKey) -> None:
        self._world = world
        self._key = key

    async def wait_until_ready(self, address: str) -> None:
        """Wait until the host has booted; see `SSHClient.wait_until_ready`."""
        where = parse_address(address)
        report(
            "ssh",
            f"waiting for the SSH server of {self._key.hostname}",
            cluster=self._key.clustername,
            host=self._key.hostname,
        )
        await self._world.begin("wait_until_ready", self._key)

        def answers() -> bool | None:
            machine = self._find(where)
            return True if machine is not None and self._serves_ssh(machine) else None

        await self._world.clock.wait_for(answers)

    async def run_with_results(
        self,
        address: str,
        command: str,
        *,
        stdin: str | None = None,
        timeout: float | None = None,
        check: bool = False,
    ) -> CommandResult:
        """Run a command and collect its output; see `SSHClient.run_with_results`."""
        clock = self._world.clock
        began = clock.now()
        await self._world.begin("run_with_results", self._key)
        machine = await self._connect(address)
        ends = math.inf if timeout is None else clock.now() + timeout
        running = SimulatedCommand(self._world, machine, command, stdin, ends)
        output = [piece async for piece in running]
        result = CommandResult(
            command=command,
            stdout="".join(piece.text for piece in output if piece.stream == "stdout"),
            stderr="".join(piece.text for piece in output if piece.stream == "stderr"),
            exit_status=await running.wait(),
            duration=clock.now() - began,
            host=self._key.hostname,
        )
        if check and not result.ok:
            raise CommandFailedError(result, host=self._key.hostname)
        return result

    @asynccontextmanager
    async def stream(
        self, address: str, command: str, *, stdin: str | None = None
    ) -> AsyncIterator[RunningCommand]:
        """Run a command and follow its output; see `SSHClient.stream`."""
        await self._world.begin("stream", self._key)
        machine = await self._connect(address)
        yield SimulatedCommand(self._world, machine, command, stdin, math.inf)

    async def run_interactive_shell(self, address: str, command: str | None = None) -> int:
        """Refuse: there is no terminal in a simulated world."""
        await self._connect(address)
        raise SSHError(
            f"simulated hosts have no terminal to run {command or 'a shell'} in",
            hint="Run commands with run_with_results.",
            host=self._key.hostname,
        )

    async def put(
        self, address: str, local: str | PathLike[str], remote: str, *, recurse: bool = False
    ) -> None:
        """Copy a file or folder to the host; see `SSHClient.put`."""
        await self._world.begin("put", self._key)
        machine = await self._connect(address)
        await copy_to_host(machine, local, remote, recurse=recurse)

    async def get(
        self, address: str, remote: str, local: str | PathLike[str], *, recurse: bool = False
    ) -> None:
        """Copy a file or folder from the host; see `SSHClient.get`."""
        await self._world.begin("get", self._key)
        machine = await self._connect(address)
        await copy_from_host(machine, remote, local, recurse=recurse)

    async def aclose(self) -> None:
        """Do nothing: no connection is kept."""

    async def _connect(self, address: str) -> Machine:
        where = parse_address(address)
        machine = self._find(where)
        if machine is None or machine.status is not HostStatus.RUNNING:
            raise self._connection_error(f"nothing answers at {address}", "Is the host running?")
        if machine.key != self._key:
            raise HostKeyMismatchError(
                f"host {machine.key.hostname!r} answers at {address}, not {self._key.hostname!r}",
                hint="Ask the host for its ssh_address anew.",
                driver=self._world.drivername,
                cluster=self._key.clustername,
                host=self._key.hostname,
            )
        run = machine.boots
        # A forwarded port is open before the host is up: the server's word is awaited.
        await self._world.clock.wait_for(
            lambda: self._serves_ssh(machine) or not machine.runs(run) or None,
            DEFAULT_CONNECT_TIMEOUT,
        )
        if not self._serves_ssh(machine):
            raise self._connection_error(
                f"no SSH server introduced itself at {address}", "Look at the host's console()."
            )
        return machine

    def _find(self, where: tuple[str, int]) -> Machine | None:
        target = self._world.ports.target(*where)
        if target is None or target[1] != SSH_PORT:
            return None
        return self._world.machines.get(target[0])

    def _serves_ssh(self, machine: Machine) -> bool:
        return machine.booted and not self._world.faults.ssh_is_silent(machine.key.subject)

    def _connection_error(self, message: str, hint: str) -> SSHConnectionError:
        return SSHConnectionError(
            message,
            hint=hint,
            driver=self._world.drivername,
            cluster=self._key.clustername,
            host=self._key.hostname,
        )


class SimulatedCommand(RunningCommand, AsyncIterator[Output]):
    """A command that is performed while its output is asked for.

    Args:
        world: The world.
        machine: The host it runs on.
        command: The command line.
        stdin: Text for its standard input; None for none.
        ends: Simulated time at which it is terminated.
    """

    def __init__(
        self, world: World, machine: Machine, command: str, stdin: str | None, ends: float
    ) -> None:
        self._world = world
        self._machine = machine
        self._run = machine.boots
        self._command = command
        self._ends = ends
        self._exit_status: int | None = None
        call = CommandCall(command, machine.key.hostname, machine.key.clustername, stdin)
        answer = world.commands.reply(call)
        self._performance: Performance = (
            perform_answer(answer)
            if answer is not None
            else perform_kubernetes(command, world, machine, stdin)
            or perform_line(command, machine, stdin)
        )
        self._owed = world.timings.command

    def __aiter__(self) -> AsyncIterator[Output]:
        """Iterate over the output until the command ends."""
        return self

    async def __anext__(self) -> Output:
        while self._exit_status is None:
            await self._pass_time()
            try:
                piece = next(self._performance)
            except StopIteration as end:
                self._exit_status = end.value
                break
            if isinstance(piece, Output):
                return piece
            self._owe(piece)
        raise StopAsyncIteration

    async def wait(self) -> int:
        """Wait for the end; output that nobody read is dropped."""
        async for _ in self:
            pass
        assert self._exit_status is not None
        return self._exit_status

    def _owe(self, pause: Pause) -> None:
        self._owed += pause.seconds

    async def _pass_time(self) -> None:
        """Let the pauses pass that were performed; a cancelled wait is begun again."""
        clock = self._world.clock
        key = self._machine.key
        if self._owed > 0:
            left = min(self._owed, self._ends - clock.now())
            await clock.sleep(left, unless=lambda: not self._machine.runs(self._run) or None)
            late = self._owed > left
            self._owed = 0.0
            if late:
                raise CommandTimeoutError(
                    f"{self._command!r} did not end in the time given",
                    hint="It was terminated. Give it a longer timeout.",
                    driver=self._world.drivername,
                    cluster=key.clustername,
                    host=key.hostname,
                )
        if not self._machine.runs(self._run):
            raise SSHConnectionError(
                f"the connection to {key.hostname!r} was lost",
                hint="The host stopped while the command ran.",
                driver=self._world.drivername,
                cluster=key.clustername,
                host=key.hostname,
            )
