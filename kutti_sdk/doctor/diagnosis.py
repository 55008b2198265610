"""All findings together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path

from kutti_sdk.core.display import Displayed
from kutti_sdk.core.driver import VMDriver
from kutti_sdk.core.errors import DriverUnavailableError, KuttiError
from kutti_sdk.core.findings import Diagnosable, Finding, Severity, guarded, ok, problem
from kutti_sdk.core.registry import get_driver, list_drivers
from kutti_sdk.doctor import clusters, folders, locks, machine
from kutti_sdk.runtime.tasks import interruptible, run_all

_MARKS = {Severity.OK: "ok     ", Severity.NOTE: "note   ", Severity.PROBLEM: "PROBLEM"}

_ROUNDS = 3  # times that it is mended what mending brought to light


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis(Displayed):
    """What was found on this machine.

    Attributes:
        findings: Everything that was looked at, good or bad.
        mended: What was done about the findings before, in sentences.
        drivers: Names of the drivers that were looked at; None for all there are.
    """

    findings: tuple[Finding, ...]
    mended: tuple[str, ...] = ()
    drivers: tuple[str, ...] | None = field(default=None, compare=False)

    @property
    def healthy(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that are problems."""
        return tuple(it for it in self.findings if it.severity is Severity.PROBLEM)

    @property
    def summary(self) -> str:
        """How many problems and notes there are: ``1 problem, 2 notes``."""
        notes = sum(it.severity is Severity.NOTE for it in self.findings)
        counts = ((len(self.problems), "problem"), (notes, "note"))
        said = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
        return ", ".join(said) or "all is well"

    @interruptible
    async def mend(self) -> Diagnosis:
        """Mend what can be mended without a risk: nothing is done that could lose data.

        Processes without a record are ended, files that nobody uses are removed, rights are
        taken from others, services are started again. Each is looked at again before it is
        touched; what turns out to be left behind, such as the sockets of a process that was
        ended, is mended as well.

        Returns:
            A new diagnosis, which tells what was done.
        """
        done: dict[str, None] = {}  # each sentence once, in order
        after = self
        for _ in range(_ROUNDS):
            mends = [finding for finding in after.findings if finding.mend is not None]
            if not mends:
                break
            for finding in mends:
                done[await _mended(finding)] = None
            after = await diagnose(*(self.drivers or ()))
        return Diagnosis(after.findings, tuple(done), self.drivers)

    @interruptible
    async def write_archive(self, path: str | PathLike[str]) -> Path:
        """Write everything that helps to find a fault from afar into one file.

        Versions, findings, settings, state files, logs and the ends of consoles. Private
        keys, tokens, kubeconfigs and passwords are left out. Names and addresses stay in:
        read it before you give it to others.

        Args:
            path: The file, such as ``kutti.tar.gz``; there must be none yet.

        Returns:
            The file.

        Raises:
            InvalidInputError: When there is such a file.
            StateError: When it cannot be written.
        """
        from kutti_sdk.doctor.archive import write_archive

        return await write_archive(Path(path), str(self), _chosen(self.drivers or ()))

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows for a cell that ends with it

    def __str__(self) -> str:
        lines = [f"Diagnosis: {self.summary}"]
        lines += [f"  done     {sentence}" for sentence in self.mended]
        for finding in self.findings:
            lines.append(f"  {_MARKS[finding.severity]}  {finding.subject}: {finding.message}")
            if finding.advice:
                lines.append(f"           {finding.advice}")
        return "\n".join(lines)


@interruptible
async def diagnose(*drivers: str) -> Diagnosis:
    """Look whether all is well on this machine, and change nothing.

    Args:
        *drivers: Names of the drivers to look at; none for all there are.

    Returns:
        What was found; `Diagnosis.mend` mends what can be mended without a risk.

    Raises:
        DriverNotFoundError: When there is no driver of a name.
        StateError: When that cannot be found out, because installed packages cannot be read.
    """
    for name in drivers:
        with suppress(DriverUnavailableError):  # which is a finding
            get_driver(name)
    checks: list[tuple[str, Callable[[], Awaitable[list[Finding]]]]] = [
        ("machine", machine.look),
        ("folders", folders.look),
        ("drivers", partial(_look_at_drivers, drivers)),
        ("clusters", clusters.look),
    ]
    # Before the others, which hold locks themselves for a moment.
    held = await guarded("locks", locks.look)
    found = await run_all(*(partial(guarded, subject, check) for subject, check in checks))
    return Diagnosis(tuple(it for some in (*found, held) for it in some), (), drivers or None)


async def _look_at_drivers(names: tuple[str, ...]) -> list[Finding]:
    looks = {f"driver {name}": partial(_look_at_driver, name) for name in names or list_drivers()}
    found = await run_all(*(partial(guarded, *look) for look in looks.items()))
    return [it for some in found for it in some]


async def _look_at_driver(name: str) -> list[Finding]:
    driver = get_driver(name)
    subject = f"driver {name}"
    try:
        if isinstance(driver, Diagnosable):
            return await driver.diagnose()
        await driver.check()
    except (KuttiError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a package of somebody else raises
        return [problem(subject, f"cannot be looked at: {error!r}", "Update its package.")]
    return [ok(subject, "it can work here")]


async def _mended(finding: Finding) -> str:
    assert finding.mend is not None
    try:
        return await finding.mend()
    except (KuttiError, OSError) as error:
        reason = error.message if isinstance(error, KuttiError) else str(error)
        return f"{finding.subject}: not mended: {reason}"


def _chosen(names: tuple[str, ...]) -> list[VMDriver]:
    drivers = []
    for name in names or list_drivers():
        try:
            drivers.append(get_driver(name))
        except KuttiError:  # its package is broken, as a finding tells
            continue
    return drivers
