"""The reference is complete, and names nothing that is not there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module

import pytest
from docs_examples import ROOT

import kutti_sdk as kutti
from kutti_sdk.kubernetes.phases import PHASES

REFERENCE = ROOT / "docs" / "reference"

_MODULE = re.compile(r"^\.\. py:currentmodule:: (\S+)$")
_ENTRY = re.compile(r"^\.\. (?:auto\w+|py:data):: (\S+)$")


def _documented() -> Iterator[tuple[str, str]]:
    """All entries of the reference, as module and name."""
    for page in sorted(REFERENCE.glob("*.md")):
        module = ""
        for line in page.read_text().splitlines():
            if found := _MODULE.match(line):
                module = found[1]
            elif found := _ENTRY.match(line):
                yield module, found[1]


def test_every_public_name_is_in_the_reference() -> None:
    names = [name for module, name in _documented() if module == "kutti_sdk"]
    assert sorted(names) == sorted(kutti.__all__), "each once"


@pytest.mark.parametrize(("module", "name"), list(_documented()))
def test_what_is_in_the_reference_is_public_and_has_a_docstring(module: str, name: str) -> None:
    assert name in import_module(module).__all__
    thing = getattr(import_module(module), name)
    assert not callable(thing) or thing.__doc__


def test_every_error_has_advice() -> None:
    page = (REFERENCE / "errors.md").read_text()
    errors = {name for name in kutti.__all__ if name.endswith("Error")}
    assert set(re.findall(r"\{py:exc\}`~kutti_sdk\.(\w+)` \| .", page)) == errors


def test_every_phase_is_in_the_reference() -> None:
    page = (REFERENCE / "events.md").read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    sources = [path.read_text() for path in (ROOT / "kutti_sdk").rglob("*.py")]
    calls = r'\b(?:report|_report|_enter)\(\s*"([a-z-]+)"'
    reported = {phase for source in sources for phase in re.findall(calls, source)}
    assert reported | set(PHASES) == documented


def test_every_environment_variable_is_in_the_reference() -> None:
    documented = set(re.findall(r"`(KUTTI_\w+)`", (REFERENCE / "environment.md").read_text()))
    sources = [*(ROOT / "kutti_sdk").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r'"(KUTTI_[A-Z_]+)"', path.read_text())}
    assert used == documented


def test_every_command_and_option_is_in_the_reference() -> None:
    from kutti_sdk.cli.main import _parser

    page = (REFERENCE / "command-line.md").read_text()
    missing = [word for word in _words(_parser()) if not re.search(rf"{word}\b", page)]
    assert not missing


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from _words(below)
        else:
            yield from (option for option in action.option_strings if option.startswith("--"))
