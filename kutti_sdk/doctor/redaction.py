"""Takes secrets out of texts that are given to others.

It knows secrets by their form and by the words beside them. What has neither, say a
password that a guest wrote to its console without a word, nobody can know.
"""

from __future__ import annotations

import re

LEFT_OUT = "[left-out]"
"""Stands where a secret was; one word, so that it can be left out once more."""

# A guest writes what it likes: none of these may take the square of its length to search for.
_PATTERNS = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        # Private keys in PEM (RFC 7468, and OpenSSH's format that looks the same), also
        # within JSON, and those of which the beginning or the end was cut off.
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
            r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)"
        ),
        r"\A[A-Za-z0-9+/=\s]*-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----",
        # The same once more in base64, as in kubeconfigs: "-----BEGIN" encoded.
        r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*",
        # A credential of systemd, in which the keys of a host are.
        r"(?<=io\.systemd\.credential)[.:]\S+",
        # Tokens of service accounts: JSON in base64, three times (RFC 7519).
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?",
        # Bootstrap tokens (Kubernetes reference, "Bootstrap tokens", "Token format").
        r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
        # User and password in a URL (RFC 3986, section 3.2.1), also with an @ in them.
        r"(?<=://)[^/\s\"']+(?=@)",
        # An HTTP header (RFC 9110, section 11.6.2).
        r"(?<=authorization: )[^\r\n\"']+",
        r"(?<=bearer )\S+",
        # What follows the name of a secret: in YAML, JSON, TOML and environments, and as an
        # option.
        (
            r"(?P<name>(?:password|passwd|passphrase|secret|token|credential|certificate-key"
            r"|key-data|api[_-]?key|private[_-]?key)s?[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\s\"',;]+"
        ),
        r"(?P<name>(?<=-)(?:password|secret|token|certificate-key)\s{1,3})[^\s\"']+",
    )
)


def without_secrets(text: str) -> str:
    """Take secrets out of a text.

    Args:
        text: Any text.

    Returns:
        The text, with a note where each secret was.
    """
    for pattern in _PATTERNS:
        text = pattern.sub(_replacement, text)
    return text


def _replacement(match: re.Match[str]) -> str:
    return f"{match.groupdict().get('name', '')}{LEFT_OUT}"
