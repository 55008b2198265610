"""``doctor``: look whether all is well, mend, and write a log archive."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.markup import escape

from kutti_sdk.cli.terminal import output
from kutti_sdk.core.findings import Finding, Severity

_MARKS = {
    Severity.OK: "[green]ok[/]     ",
    Severity.NOTE: "[yellow]note[/]   ",
    Severity.PROBLEM: "[red]problem[/]",
}


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line.

    Args:
        commands: Where to add it.
    """
    parser = commands.add_parser("doctor", help="look whether all is well on this machine")
    parser.add_argument("--driver", metavar="NAME", help="only this driver")
    parser.add_argument(
        "--mend", action="store_true", help="mend what can be mended without a risk"
    )
    parser.add_argument(
        "--bundle",
        metavar="FILE",
        type=Path,
        help="write versions, findings and logs into a .tar.gz, without secrets",
    )
    parser.set_defaults(command=_doctor)


async def _doctor(options: argparse.Namespace) -> int:
    from kutti_sdk.doctor import diagnose

    found = await diagnose(*([options.driver] if options.driver else ()))
    if options.mend:
        found = await found.mend()
    for sentence in found.mended:
        output.print(f"[green]done[/]     {escape(sentence)}", soft_wrap=True)
    for finding in found.findings:
        _show(finding)
    output.print(f"{found.summary[0].upper()}{found.summary[1:]}.", soft_wrap=True)
    if any(finding.mend is not None for finding in found.findings) and not options.mend:
        output.print("`doctor --mend` mends some of it.", soft_wrap=True)
    if options.bundle is not None:
        written = await found.write_archive(options.bundle)
        output.print(f"Wrote {escape(str(written))}. Look into it before you share it.")
    return 0 if found.healthy else 1


def _show(finding: Finding) -> None:
    said = f"{finding.subject}: {finding.message}"
    output.print(f"{_MARKS[finding.severity]}  {escape(said)}", soft_wrap=True)
    if finding.advice:
        output.print(f"         {escape(finding.advice)}", soft_wrap=True)
