"""Secrets for the doctor to leave out; none of them opens anything.

They are put together here, so that nobody who looks for secrets in this repository finds one.
"""

from __future__ import annotations

BODY = "\n".join(letter * 64 for letter in "Ab0")
KEY = f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{BODY}\n-----END OPENSSH {'PRIVATE'} KEY-----\n"
LINE = "b" * 64
TOKEN = "abcdef" + "." + "0123456789abcdef"
JWT = ".".join(("eyJhbGciOiJSUzI1NiJ9", "eyJpc3MiOiJrdXR0aSJ9", "c2lnbmF0dXJl"))
HEX = "0f" * 32
