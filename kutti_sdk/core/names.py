"""Names of networks, hosts, clusters and drivers."""

from __future__ import annotations

import re

from kutti_sdk.core.errors import InvalidNameError

MAX_NAME_LENGTH = 32
"""Longest name in characters; leaves room for a domain in a 63 octet DNS label."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)


def validate_name(name: str, what: str = "name") -> str:
    """Check that a name is an RFC 1123 label of at most 32 characters.

    Args:
        name: The name to check.
        what: What the name is for, as the error should call it.

    Returns:
        The name itself.

    Raises:
        InvalidNameError: When it is anything else; nothing is corrected in silence.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or _LABEL.fullmatch(name) is None:
        raise InvalidNameError(
            f"{what} {name!r} is not a valid name",
            hint=f"Use 1 to {MAX_NAME_LENGTH} lower case letters, digits and hyphens, "
            "with a letter or digit at both ends.",
        )
    return name
