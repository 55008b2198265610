"""Answers on order: what commands shall say on simulated hosts.

::

    driver.commands.answer("cat /etc/os-release", stdout="ID=debian")
    driver.commands.answer("kubeadm join*", host="node2", exit_status=1, stderr="no token")
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kutti_sdk.drivers.simulated.effects import Subject

_CALLS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A command that somebody ran.

    Attributes:
        command: The command line.
        host: Name of the host it ran on.
        cluster: Name of the host's cluster.
        stdin: What was given to its standard input; None for nothing.
    """

    command: str
    host: str
    cluster: str
    stdin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command says.

    Attributes:
        stdout: What it writes to standard output.
        stderr: What it writes to standard error.
        exit_status: Its exit status.
        seconds: Simulated seconds it takes; its lines come spread evenly over them.
    """

    stdout: str = ""
    stderr: str = ""
    exit_status: int = 0
    seconds: float = 0.0


class ScriptedCommands:
    """All answers that were ordered, and all commands that were run."""

    def __init__(self) -> None:
        self._scripts: list[_Script] = []
        self._calls: deque[CommandCall] = deque(maxlen=_CALLS_KEPT)

    @property
    def calls(self) -> tuple[CommandCall, ...]:
        """The commands that were run, oldest first; the last 10,000 of them."""
        return tuple(self._calls)

    def answer(
        self,
        command: str | re.Pattern[str],
        *,
        stdout: str = "",
        stderr: str = "",
        exit_status: int = 0,
        seconds: float = 0.0,
        host: str | None = None,
        cluster: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let a command say something; what is ordered later goes before.

        Args:
            command: The whole command line, with ``*`` and ``?`` as in file names, or a
                compiled regular expression that is looked for in it.
            stdout: What it writes to standard output.
            stderr: What it writes to standard error.
            exit_status: Its exit status.
            seconds: Simulated seconds it takes.
            host: Name of the host, with the same wildcards; None for all.
            cluster: Name of the cluster; None for all.
            times: How often; None for every time.
        """
        reply = Answer(stdout=stdout, stderr=stderr, exit_status=exit_status, seconds=seconds)
        self.answer_with(command, lambda _: reply, host=host, cluster=cluster, times=times)

    def answer_with(
        self,
        command: str | re.Pattern[str],
        function: Callable[[CommandCall], Answer],
        *,
        host: str | None = None,
        cluster: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let a function say what a command says.

        Args:
            command: As for `answer`.
            function: Called with each `CommandCall`.
            host: Name of the host; None for all.
            cluster: Name of the cluster; None for all.
            times: How often; None for every time.
        """
        subject = Subject(host=host, cluster=cluster)
        self._scripts.append(_Script(command, function, subject, times))

    def clear(self) -> None:
        """Forget all answers and all calls."""
        self._scripts.clear()
        self._calls.clear()

    def reply(self, call: CommandCall) -> Answer | None:
        """Find the answer to a command, and note that it was run.

        Args:
            call: The command.

        Returns:
            The answer, or None when none was ordered.
        """
        self._calls.append(call)
        for script in reversed(self._scripts):
            if script.fits(call):
                if script.left is not None:
                    script.left -= 1
                return script.function(call)
        return None


@dataclass(eq=False, slots=True)
class _Script:
    command: str | re.Pattern[str]
    function: Callable[[CommandCall], Answer]
    subject: Subject
    left: int | None

    def fits(self, call: CommandCall) -> bool:
        if self.left == 0 or not self.subject.means(Subject(host=call.host, cluster=call.cluster)):
            return False
        if isinstance(self.command, re.Pattern):
            return self.command.search(call.command) is not None
        # Compared as it is as well: brackets are wildcards, and common in jsonpath.
        return call.command == self.command or fnmatchcase(call.command, self.command)
