"""What to do about errors of the operating system that say more about the machine than a file."""

from __future__ import annotations

import errno

_ADVICE = {
    errno.ENOSPC: "The disk is full: make room on it, and do the same again.",
    errno.EDQUOT: "Your share of the disk is used up: make room, and do the same again.",
    errno.EFBIG: "Files may not become that large here: see `ulimit -f`.",
    errno.EROFS: "The disk is mounted read-only: see why in the system's log.",
    errno.EMFILE: "This process has too many files open: close some, or raise `ulimit -n`.",
    errno.ENFILE: "This machine has too many files open: end programs that are not needed.",
    errno.ENOMEM: "Memory is used up: end other hosts or programs, or raise `ulimit -v`.",
    errno.EIO: "The disk may be failing: see the system's log, and save what is on it.",
}


def advice(error: OSError, otherwise: str = "") -> str:
    """Tell what to do about an error.

    Args:
        error: The error.
        otherwise: What to do where the error does not tell it.

    Returns:
        A hint.
    """
    return _ADVICE.get(error.errno or 0, otherwise)
