"""Reads kubeadm's output: which phase of ours begins with a line.

kubeadm writes ``[word] what it does``. The words are those of 1.20 to 1.36; one
that is not known belongs to the phase that is going on.
"""

from __future__ import annotations

import re

PREFLIGHT = "preflight"
CERTIFICATES = "certs"
CONTROL_PLANE = "control-plane"
ADDONS = "addons"
JOIN = "join"
POD_NETWORK = "pod-network"
NODES = "nodes"
LEAVE = "leave"
LOAD = "load-image"

PHASES = (
    PREFLIGHT,
    CERTIFICATES,
    CONTROL_PLANE,
    ADDONS,
    JOIN,
    POD_NETWORK,
    NODES,
    LEAVE,
    LOAD,
)
"""All phases that this package reports; `docs/reference/events.md` explains them."""

_PHASE_OF_WORD = {
    "init": PREFLIGHT,
    "preflight": PREFLIGHT,
    "certs": CERTIFICATES,
    "kubeconfig": CERTIFICATES,
    "etcd": CONTROL_PLANE,
    "control-plane": CONTROL_PLANE,
    "kubelet-start": CONTROL_PLANE,
    "wait-control-plane": CONTROL_PLANE,
    "control-plane-check": CONTROL_PLANE,
    "apiclient": CONTROL_PLANE,
    "upload-config": CONTROL_PLANE,
    "mark-control-plane": CONTROL_PLANE,
    "bootstrap-token": CONTROL_PLANE,
    "kubelet-finalize": CONTROL_PLANE,
    "addons": ADDONS,
}

_WORD = re.compile(r"\s*\[([a-z-]+)\]")


def phase_of_init(line: str) -> str | None:
    """Tell which phase a line of ``kubeadm init`` begins.

    Args:
        line: The line.

    Returns:
        The phase; None when it says nothing of phases.
    """
    word = _WORD.match(line)
    return _PHASE_OF_WORD.get(word[1]) if word else None
