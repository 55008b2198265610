"""What is found when somebody looks whether all is well, and who can look at itself.

`kutti_sdk.doctor` puts the findings of all drivers together with its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from kutti_sdk.core.root_error import KuttiError
from kutti_sdk.core.system_errors import advice

Mend: TypeAlias = Callable[[], Awaitable[str]]
"""Mends what was found and tells what it did, in one sentence without a full stop.

It looks again before it touches anything, under the locks of those who could be at work
there, and does nothing that could lose data. What cannot be mended it raises.
"""


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """As it should be."""

    NOTE = "note"
    """Worth to be known; everything works."""

    PROBLEM = "problem"
    """Something does not work, or will not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What was looked at, in a few words: ``QEMU``, ``network lab``.
        severity: How bad it is.
        message: What is, as a sentence without a full stop.
        advice: What to do about it, in whole sentences; empty when there is nothing to do.
        mend: Mends it without a risk; None where somebody has to decide, or to act.
    """

    subject: str
    severity: Severity
    message: str
    advice: str = ""
    mend: Mend | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        text = f"{self.subject}: {self.message}"
        return f"{text}\n{self.advice}" if self.advice else text


@runtime_checkable
class Diagnosable(Protocol):
    """A driver that can look at itself. Drivers may have these methods, and need not."""

    async def diagnose(self) -> list[Finding]:
        """Look whether all is well, and change nothing.

        Returns:
            What was found, good or bad, in the order in which people should read it.
        """
        ...

    async def log_files(self) -> list[Path]:
        """Name the files that tell what happened: logs, consoles, records.

        None of them may be one that is made of secrets, such as a private key; secrets
        that turn up within a text are taken out by whoever collects them.

        Returns:
            The files, whether they exist or not.
        """
        ...


async def guarded(subject: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """Tell what keeps somebody from looking, so that others can look all the same.

    Args:
        subject: What is looked at.
        look: Looks at it.

    Returns:
        What was found, or that it cannot be looked at.
    """
    try:
        return await look()
    except KuttiError as error:
        return [problem(subject, f"cannot be looked at: {error.message}", error.hint or "")]
    except OSError as error:
        hint = advice(error, "See who owns these files.")
        return [problem(subject, f"cannot be looked at: {error}", hint)]


def ok(subject: str, message: str) -> Finding:
    """Tell that something is as it should be.

    Args:
        subject: What was looked at.
        message: What is.

    Returns:
        The finding.
    """
    return Finding(subject=subject, severity=Severity.OK, message=message)


def note(subject: str, message: str, advice: str = "", *, mend: Mend | None = None) -> Finding:
    """Tell something that is worth to be known.

    Args:
        subject: What was looked at.
        message: What is.
        advice: What to do about it.
        mend: Mends it.

    Returns:
        The finding.
    """
    return Finding(
        subject=subject, severity=Severity.NOTE, message=message, advice=advice, mend=mend
    )


def problem(subject: str, message: str, advice: str = "", *, mend: Mend | None = None) -> Finding:
    """Tell that something does not work, or will not.

    Args:
        subject: What was looked at.
        message: What is.
        advice: What to do about it.
        mend: Mends it.

    Returns:
        The finding.
    """
    return Finding(
        subject=subject, severity=Severity.PROBLEM, message=message, advice=advice, mend=mend
    )
