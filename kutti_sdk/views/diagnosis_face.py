"""What was found on this machine: problems first."""

from __future__ import annotations

from kutti_sdk.core.findings import Finding, Severity
from kutti_sdk.doctor import Diagnosis
from kutti_sdk.views.elements import Element, element
from kutti_sdk.views.tables import mark, table
from kutti_sdk.views.words import Tone

_MARKS: dict[Severity, tuple[str, Tone, str]] = {
    Severity.OK: ("✔", "good", "ok"),
    Severity.NOTE: ("●", "warn", "note"),
    Severity.PROBLEM: ("✖", "bad", "problem"),
}
_ORDER = (Severity.PROBLEM, Severity.NOTE, Severity.OK)


def diagnosis_face(diagnosis: Diagnosis) -> Element:
    """Show a diagnosis.

    Args:
        diagnosis: What was found.

    Returns:
        What was mended, and a table of the findings.
    """
    findings = sorted(diagnosis.findings, key=lambda it: _ORDER.index(it.severity))
    columns = ("subject", "", "finding", "what to do")
    return element(
        "div",
        *(element("p", mark("✔", "good", "Mended"), f": {it}") for it in diagnosis.mended),
        table(f"Diagnosis: {diagnosis.summary}", columns, map(_row, findings)),
    )


def _row(finding: Finding) -> tuple[Element | str, ...]:
    return finding.subject, mark(*_MARKS[finding.severity]), finding.message, finding.advice
