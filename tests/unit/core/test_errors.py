from __future__ import annotations

import inspect
import pickle

import pytest

from kutti_sdk.core import errors
from kutti_sdk.core.display import Displayed
from kutti_sdk.core.errors import CommandFailedError, HostNotFoundError, KuttiError
from kutti_sdk.core.ssh import CommandResult

_INDENT = 4  # characters that the tree is drawn with, per level


def _drawn() -> dict[str, tuple[str, ...]]:
    """Read the tree in the module's docstring: each class with its bases."""
    tree = inspect.getdoc(errors).split("```")[1].strip().splitlines()  # type: ignore[union-attr]
    above: list[str] = []
    drawn: dict[str, tuple[str, ...]] = {}
    for line in tree:
        text = line.lstrip("│├└─ ")
        level = (len(line) - len(text)) // _INDENT
        name, _, rest = text.partition(" ")
        beside = rest.split(")")[0][1:] if rest.startswith("(") else ""
        above[level:] = [name]
        drawn[name] = (above[level - 1] if level else "Exception", *filter(None, [beside]))
    return drawn


def _real() -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(base.__name__ for base in kind.__bases__ if base is not Displayed)
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    assert _drawn() == _real()


@pytest.mark.parametrize("name", sorted(_real()))
def test_every_error_tells_when_it_is_raised(name: str) -> None:
    assert vars(errors)[name].__doc__


def test_an_error_shows_its_hint_below_its_message() -> None:
    error = HostNotFoundError("there is no host", hint="Make one.", host="node1", cluster="lab")
    assert str(error) == "there is no host\nHint: Make one."
    assert (error.message, error.host, error.cluster) == ("there is no host", "node1", "lab")
    assert error.network is error.driver is error.image is None
    assert str(KuttiError("plain")) == "plain"


def test_a_failed_command_shows_the_end_of_what_it_complained_of() -> None:
    result = CommandResult("make", "", "x" * 3000 + "no rule\n", 2, 0.1, "node1")
    error = CommandFailedError(result, host="node1")
    assert "'make' ended with status 2 on node1" in str(error)
    assert str(error).endswith("no rule")
    assert len(str(error)) < 2200
    assert error.result is result


def test_a_stalled_host_shows_its_console() -> None:
    error = errors.ReadyTimeoutError("stalled", phase="boot", console="panic", host="node1")
    assert str(error) == "stalled\nLast lines of the console:\npanic"
    assert error.phase == "boot"


@pytest.mark.parametrize(
    "error",
    [
        HostNotFoundError("gone", hint="Make one.", host="node1"),
        errors.ReadyTimeoutError("stalled", phase="boot", console="panic"),
        CommandFailedError(CommandResult("make", "", "no rule", 2, 0.1, "node1"), host="node1"),
    ],
)
def test_errors_pass_between_processes(error: KuttiError) -> None:
    error.add_note("noted")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (str(again), again.args) == (str(error), error.args)
