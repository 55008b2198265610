"""Text from hosts, servers and files is shown, and neither terminals nor pages obey it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from kutti_sdk.cli import terminal
from kutti_sdk.cli.terminal import PlainConsole
from kutti_sdk.core.errors import KubeadmError, KuttiError, ReadyTimeoutError
from kutti_sdk.core.events import report

EVIL = "before\x1b]0;title\x07\x1b[2J\x1b[31m\x9b5n\x08\rafter"
LEFT = "before0;title5nafter"


def obeyed(text: str) -> list[str]:
    """What a terminal would obey in it, other than colours, which Rich writes as well."""
    return [it for it in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\x08") if it in text]


def test_a_terminal_does_not_obey_text_but_rich_still_colours() -> None:
    written = io.StringIO()
    console = PlainConsole(
        file=written, force_terminal=True, color_system="standard", width=80, highlight=False
    )
    table = Table("what")
    table.add_row(EVIL)
    console.print(table, EVIL, markup=False)
    console.print("[red]Error:[/] here")
    text = written.getvalue()
    assert text.count(LEFT) == 2
    assert obeyed(text) == []
    assert "\x1b[31mError:\x1b[0m here" in text


@pytest.mark.parametrize("live", [True, False])
def test_progress_and_warnings_are_plain(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    written = io.StringIO()
    for name in ("output", "errors"):
        console = PlainConsole(file=written, force_terminal=live, width=120)
        monkeypatch.setattr(terminal, name, console)
    with terminal.live_progress():
        report("join", EVIL, host="node1")
        report("warning", EVIL)
    assert written.getvalue().count("title") == 2
    assert obeyed(written.getvalue()) == []


@pytest.mark.parametrize(
    "error",
    [
        KuttiError(EVIL),
        KuttiError("it failed", hint=EVIL),
        KubeadmError("kubeadm failed", phase="init", log=EVIL),
        ReadyTimeoutError("too late", phase="ssh", console=EVIL),
    ],
)
def test_an_error_is_plain_in_a_traceback(error: KuttiError) -> None:
    assert LEFT in str(error)
    assert str(error).replace("\n", "").isprintable()


def test_rich_alone_would_let_it_through() -> None:
    """What `PlainConsole` is for; it can go when Rich does this itself."""
    written = io.StringIO()
    Console(file=written, force_terminal=True, highlight=False).print(EVIL, markup=False)
    assert obeyed(written.getvalue()) == ["\x1b]", "\x1b[2J", "\x9b"]
