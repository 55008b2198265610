"""Whether somebody looks at this process through a notebook."""

from __future__ import annotations

import sys


def in_a_notebook() -> bool:
    """Tell whether this process is a kernel, and not a program or a terminal.

    Returns:
        True in the kernel of a notebook.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None:  # nobody can have started it as a kernel
        return False
    return getattr(ipython.get_ipython(), "kernel", None) is not None
