"""Kubernetes versions that sort as versions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from kutti_sdk.core.errors import InvalidVersionError

NO_KUBERNETES = "none"
"""The version of an image without Kubernetes."""

_VERSION = re.compile(
    r"v?(?P<major>0|[1-9]\d{0,3})\.(?P<minor>0|[1-9]\d{0,3})"
    r"(?:\.(?P<patch>0|[1-9]\d{0,3})(?:-(?P<pre>[0-9A-Za-z-]{1,32}(?:\.[0-9A-Za-z-]{1,32}){0,4}))?)?",
    re.ASCII,
)


@total_ordering
@dataclass(frozen=True, slots=True)
class K8sVersion:
    """A Kubernetes version, or the lack of Kubernetes.

    Sorts by semantic versioning 2.0.0, clause 11: 1.9 before 1.10, a
    pre-release before its release. `none` comes before all others, and a
    version without a patch number before all its patches.

    Attributes:
        text: As it was written, without a leading ``v``.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> K8sVersion:
        """Read a version.

        Args:
            text: ``1.34``, ``1.34.2``, ``v1.34.2``, ``1.34.0-rc.1`` or ``none``.

        Returns:
            The version.

        Raises:
            InvalidVersionError: When the text is none of these.
        """
        if not isinstance(text, str) or (
            text != NO_KUBERNETES and _VERSION.fullmatch(text) is None
        ):
            raise InvalidVersionError(
                f"{text!r} is not a Kubernetes version",
                hint='Write it like "1.34" or "1.34.2", or "none" for no Kubernetes.',
            )
        return cls(text.removeprefix("v"))

    @property
    def minor_version(self) -> str:
        """The version without patch number: ``1.34`` of ``1.34.2``."""
        return self.text if self.text == NO_KUBERNETES else ".".join(self.text.split(".")[:2])

    @property
    def names_a_patch(self) -> bool:
        """Whether a patch number is given."""
        return self.text != self.minor_version

    def accepts(self, other: K8sVersion) -> bool:
        """Tell whether another version is what somebody means who writes this one.

        Args:
            other: The version on offer.

        Returns:
            True for the same version, and, when this one names no patch, for all
            of its patches.
        """
        return other == self or (not self.names_a_patch and other.minor_version == self.text)

    def _key(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        match = _VERSION.fullmatch(self.text)
        if match is None:
            return (), True, ()
        numbers = tuple(int(match[part]) for part in ("major", "minor", "patch") if match[part])
        identifiers = match["pre"].split(".") if match["pre"] else []
        return (
            numbers,
            not identifiers,
            tuple(
                (False, int(part), "") if part.isdecimal() else (True, 0, part)
                for part in identifiers
            ),
        )

    def __lt__(self, other: K8sVersion) -> bool:
        return self._key() < other._key()

    def __str__(self) -> str:
        return self.text


def select_version(wanted: str, available: Iterable[str]) -> str | None:
    """Choose the version somebody means among those there are.

    Args:
        wanted: What was asked for; see `K8sVersion.parse`.
        available: What there is.

    Returns:
        The very same version if there is one, else the newest patch of it, else None.

    Raises:
        InvalidVersionError: When `wanted` is no version.
    """
    version = K8sVersion.parse(wanted)
    fitting = [other for other in map(K8sVersion.parse, available) if version.accepts(other)]
    if version in fitting:
        return version.text
    return max(fitting).text if fitting else None
