"""What commands wrote, and how they ended."""

from __future__ import annotations

from collections.abc import Sequence

from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.tables import mark
from kutti_sdk.views.words import duration_words

_LONGEST = 20_000  # characters of an output that are shown: its end


def results_face(results: Sequence[CommandResult]) -> Element:
    """Show results side by side.

    Args:
        results: The results.

    Returns:
        The results, each with its host's name.
    """
    failed = sum(not result.ok for result in results)
    ended = mark("✖", "bad", f"{failed} failed") if failed else mark("✔", "good", "all succeeded")
    return element(
        "div",
        element("p", f"{len(results)} results: ", ended),
        element("div", *map(result_face, results), class_="columns"),
    )


def result_face(result: CommandResult) -> Element:
    """Show a result.

    Args:
        result: The result.

    Returns:
        Host, command, how it ended, and what it wrote.
    """
    return element(
        "section",
        element(
            "p",
            element("strong", result.host),
            ": ",
            element("code", result.command),
            " ",
            exit_mark(result.exit_status),
            f" after {duration_words(result.duration)}",
        ),
        output_block("standard output", result.stdout),
        output_block("standard error", result.stderr),
        aria_label=f"{result.command} on {result.host}",
    )


def exit_mark(exit_status: int) -> Element:
    """Show how a command ended.

    Args:
        exit_status: Its exit status; negative when a signal ended it.

    Returns:
        The mark.
    """
    if exit_status == 0:
        return mark("✔", "good", "exit status 0")
    if exit_status < 0:
        return mark("✖", "bad", f"ended by signal {-exit_status}")
    return mark("✖", "bad", f"exit status {exit_status}")


def output_block(what: str, text: str) -> Element | None:
    """Show what a command wrote: the end of it, when it is very long.

    Args:
        what: Which of its outputs.
        text: The text.

    Returns:
        The block, or None when it wrote nothing.
    """
    if not text:
        return None
    left_out = len(text) - _LONGEST
    note = f" (without the first {left_out} characters)" if left_out > 0 else ""
    # Long ones scroll, and what scrolls must be reached by the keyboard.
    return element(
        "div",
        element("p", f"{what}{note}:", class_="quiet"),
        element("pre", text[-_LONGEST:], tabindex="0"),
    )
