"""The face of a diagnosis: problems first, and nothing in it is obeyed."""

from __future__ import annotations

from markup import parse, rows
from test_elements import HOSTILE

from kutti_sdk.core.findings import note, ok, problem
from kutti_sdk.doctor import Diagnosis


def test_problems_come_first_with_what_to_do() -> None:
    diagnosis = Diagnosis(
        (ok("memory", "enough"), note("locks", "one is held"), problem("QEMU", "gone", "Get it.")),
        mended=("ended process 7",),
    )
    bundle = diagnosis._repr_mimebundle_()
    page = parse(bundle["text/html"])

    assert [row["subject"] for row in rows(page)] == ["QEMU", "locks", "memory"]
    assert rows(page)[0]["what to do"] == "Get it."
    assert "Diagnosis: 1 problem, 1 note" in page.text
    assert "Mended: ended process 7" in page.text
    assert bundle["text/plain"].splitlines()[0] == "Diagnosis: 1 problem, 1 note"


def test_findings_are_shown_and_not_obeyed() -> None:
    diagnosis = Diagnosis((problem(HOSTILE, HOSTILE, HOSTILE),), mended=(HOSTILE,))
    page = parse(diagnosis._repr_mimebundle_()["text/html"])
    assert page.text.count("<script>alert(1)</script>") == 4
    assert page.all("script") == page.all("img") == []
