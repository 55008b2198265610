"""Image lists in kutti's own schema.

An image list is a JSON object. Its keys are Kubernetes versions, its values
objects with ``ImageK8sVersion``, ``ImageChecksum`` (SHA-256), ``ImageSourceURL``,
``ImageStatus`` and ``ImageDeprecated``; other keys are ignored. Source: RELEASE.md
of kuttiproject/driver-vbox-images. ``ImageContentChecksum`` is ours: the checksum
that the image is known by, where its file is a bundle.

A list comes from outside. What it says ends up in file names, in requests and on
terminals, so that an entry is taken only when all of it makes sense.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kutti_sdk.core.errors import ImageListError, InvalidVersionError
from kutti_sdk.core.versions import K8sVersion

LARGEST_LIST = 4 * 1024 * 1024
"""Bytes of the largest image list that is read; kutti's own has a few thousand."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PRINTABLE = re.compile(r"[!-~]+")  # RFC 3986: a URL is written in printable ASCII
_SCHEMES = ("http", "https")
_LONGEST_URL = 2048
_LONGEST_QUOTE = 60  # characters of what was refused that a report quotes


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """An image that is published.

    Attributes:
        k8s_version: Its Kubernetes version.
        checksum: SHA-256 of the file at the URL.
        source_url: Where its file is.
        deprecated: Whether it is not for new hosts any more.
        image_checksum: What the image is known by in the store; another than that of the
            file where the file is a bundle. The same as `checksum` unless told.
    """

    k8s_version: str
    checksum: str
    source_url: str
    deprecated: bool = False
    image_checksum: str = ""

    def __post_init__(self) -> None:
        if not self.image_checksum:
            object.__setattr__(self, "image_checksum", self.checksum)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """An image list that was read, or several as one.

    Attributes:
        entries: The usable entries, by Kubernetes version.
        problems: What is wrong with the others, a sentence each.
    """

    entries: dict[str, CatalogueEntry]
    problems: tuple[str, ...] = ()


def parse_catalogue(raw: bytes) -> Catalogue:
    """Read an image list; entries that cannot be used are refused one by one.

    Args:
        raw: The JSON text.

    Returns:
        The list.

    Raises:
        ImageListError: When it is no image list at all.
    """
    try:
        listed = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageListError(
            f"the image list does not parse: {error}",
            hint="Look at what is at its address: it must be JSON in kutti's schema.",
        ) from error
    entries: dict[str, CatalogueEntry] = {}
    problems = []
    for key, value in listed.items():
        try:
            entry = _parse_entry(key, value)
            if entry.k8s_version in entries:
                raise ValueError(f"is version {entry.k8s_version} again")
            entries[entry.k8s_version] = entry
        except ValueError as error:
            problems.append(f"{_quoted(key)}: {error.args[0]}")
    return Catalogue(entries, tuple(problems))


def merge(catalogues: Iterable[Catalogue]) -> Catalogue:
    """Make one of several lists; of entries for the same version the first wins.

    Args:
        catalogues: The lists, the most important one first.

    Returns:
        One list.
    """
    entries: dict[str, CatalogueEntry] = {}
    problems: list[str] = []
    for catalogue in catalogues:
        entries = catalogue.entries | entries
        problems += catalogue.problems
    return Catalogue(entries, tuple(problems))


def check_url(url: object) -> str:
    """Make sure that a text is a URL that we would ask.

    Args:
        url: The text.

    Returns:
        The text.

    Raises:
        ValueError: When it is none; says why, as the end of a sentence.
    """
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url) or len(url) > _LONGEST_URL:
        raise ValueError("has no http or https URL")
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError("has no http or https URL")
    if parts.username is not None or parts.password is not None:
        # It would be kept in files and shown in messages.
        raise ValueError("has a URL with a user name or password in it")
    return url


def _parse_entry(key: str, value: Any) -> CatalogueEntry:
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    version = _version(value.get("ImageK8sVersion", key))
    if _version(key) != version:
        raise ValueError(f"is of version {version}")
    checksum = _checksum(value.get("ImageChecksum"), "has no SHA-256 checksum")
    url = check_url(value.get("ImageSourceURL"))
    deprecated = value.get("ImageDeprecated", False)
    if not isinstance(deprecated, bool):
        raise ValueError("is deprecated neither true nor false")
    content = _checksum(
        value.get("ImageContentChecksum", checksum), "has a content checksum that is no SHA-256"
    )
    return CatalogueEntry(version, checksum, url, deprecated, content)


def _version(text: Any) -> str:
    try:
        return K8sVersion.parse(text).text
    except InvalidVersionError:
        raise ValueError(f"has no Kubernetes version: {_quoted(text)}") from None


def _checksum(text: Any, otherwise: str) -> str:
    if not isinstance(text, str) or not _SHA256.fullmatch(text.lower()):
        raise ValueError(otherwise)
    return text.lower()


def _quoted(text: Any) -> str:
    # repr shows control characters as escapes, which a terminal does not obey.
    return f"{text[:_LONGEST_QUOTE]!r}" if isinstance(text, str) else type(text).__name__
