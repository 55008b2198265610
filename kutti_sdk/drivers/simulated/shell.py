"""A tiny shell, pretended: enough for examples, and honest about what it lacks.

It knows a dozen programs, quotes, ``;``, ``&&`` and ``||``. Pipes, redirections
and variables it refuses: such commands are scripted with `ScriptedCommands`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from kutti_sdk.core.ssh import Output
from kutti_sdk.drivers.simulated.commands import Answer
from kutti_sdk.drivers.simulated.machine import Machine

_OPERATORS = ";&|<>()\n"
_NOT_FOUND = 127
_MISUSE = 2


@dataclass(frozen=True, slots=True)
class Pause:
    """A running command lets time pass.

    Attributes:
        seconds: Simulated seconds.
    """

    seconds: float


Performance: TypeAlias = Generator[Output | Pause, None, int]
"""What a command does, piece by piece; the value it returns is the exit status."""


def perform_answer(answer: Answer) -> Performance:
    """Play an answer that was scripted.

    Args:
        answer: What to say, and how long it takes.

    Yields:
        Its lines and the pauses between them.

    Returns:
        Its exit status.
    """
    lines = answer.stdout.splitlines(keepends=True)
    steps = len(lines) + 1
    for line in lines:
        yield Pause(answer.seconds / steps)
        yield Output("stdout", line)
    yield Pause(answer.seconds / steps)
    if answer.stderr:
        yield Output("stderr", answer.stderr)
    return answer.exit_status


def perform_line(line: str, machine: Machine, stdin: str | None) -> Performance:
    """Run a command line.

    Args:
        line: The command line.
        machine: The host it runs on.
        stdin: Text for its standard input; None for none.

    Yields:
        Output and pauses.

    Returns:
        Its exit status.
    """
    try:
        commands = _parse(line)
    except ValueError as error:
        yield Output("stderr", f"simulated shell: {error}\n")
        return _MISUSE
    status = 0
    for separator, words in commands:
        if (separator == "&&" and status != 0) or (separator == "||" and status == 0):
            continue
        if words[0] == "exit":
            return int(words[1]) % 256 if words[1:] and words[1].isdecimal() else status
        program = _PROGRAMS.get(words[0])
        if program is None:
            yield Output("stderr", f"sh: 1: {words[0]}: not found\n")
            status = _NOT_FOUND
        else:
            status = yield from program(_Call(machine, words[1:], stdin))
    return status


@dataclass(frozen=True, slots=True)
class _Call:
    machine: Machine
    arguments: list[str]
    stdin: str | None


def _parse(line: str) -> list[tuple[str, list[str]]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[tuple[str, list[str]]] = []
    separator, words = ";", list[str]()
    for token in [*lexer, ";"]:
        if token in {"&&", "||"} or (token and set(token) <= set(";\n")):
            if words:
                commands.append((separator, words))
            separator, words = token, []
        elif token and set(token) <= set(_OPERATORS):
            raise ValueError(f"{token!r} is not simulated; script it with driver.commands.answer")
        else:
            words.append(token)
    return commands


def _say(text: str) -> Performance:
    return perform_answer(Answer(stdout=f"{text}\n"))


def _cat(call: _Call) -> Performance:
    status = 0
    if not call.arguments and call.stdin:
        yield Output("stdout", call.stdin)
    for path in call.arguments:
        try:
            text = call.machine.files.read(path).decode(errors="replace")
        except OSError as error:
            yield Output("stderr", f"cat: {path}: {_reason(error)}\n")
            status = 1
        else:
            yield Output("stdout", text)
    return status


def _ls(call: _Call) -> Performance:
    status = 0
    files = call.machine.files
    for path in call.arguments or ["/root"]:
        if files.is_folder(path):
            for entry in files.entries(path):
                yield Output("stdout", f"{entry.name}\n")
        elif files.is_file(path):
            yield Output("stdout", f"{path}\n")
        else:
            yield Output("stderr", f"ls: cannot access '{path}': No such file or directory\n")
            status = 2
    return status


def _mkdir(call: _Call) -> Performance:
    for path in (argument for argument in call.arguments if argument != "-p"):
        try:
            call.machine.files.make_folder(path)
        except OSError as error:
            yield Output("stderr", f"mkdir: cannot create directory '{path}': {_reason(error)}\n")
            return 1
    return 0


def _sleep(call: _Call) -> Performance:
    try:
        yield Pause(sum(float(argument.removesuffix("s")) for argument in call.arguments))
    except ValueError:
        yield Output("stderr", "sleep: invalid time interval\n")
        return 1
    return 0


def _reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "No such file or directory"
        case IsADirectoryError():
            return "Is a directory"
        case _:
            return "Not a directory"


_PROGRAMS: dict[str, Callable[[_Call], Performance]] = {
    "cat": _cat,
    "echo": lambda call: _say(" ".join(call.arguments)),
    "false": lambda _: perform_answer(Answer(exit_status=1)),
    "hostname": lambda call: _say(
        call.machine.ip_address if "-I" in call.arguments else call.machine.key.hostname
    ),
    "ls": _ls,
    "mkdir": _mkdir,
    "sleep": _sleep,
    "true": lambda _: perform_answer(Answer()),
    "uname": lambda _: _say("Linux"),
    "uptime": lambda call: _say(f"up {call.machine.uptime:.0f} seconds, load average: 0.00"),
    "whoami": lambda _: _say("root"),
}
