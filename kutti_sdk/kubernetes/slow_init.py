"""Runs ``kubeadm init`` on a slow machine.

The controllers give up when the API server does not answer within ten seconds, and
the kubelet lets them wait longer after every time. An emulated API server needs
minutes, and what the controllers do meanwhile is taken from it. So they are held
back: kubeadm writes their pods' files when the API server is healthy.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from kutti_sdk.kubernetes.kubectl import API_IS_OPEN
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF

INIT_COMMAND = ("kubeadm", "init", "--skip-token-print")

_CONTROLLERS = ("controller-manager", "scheduler")
_PHASE = "control-plane/"

# Parts of kubeadm wait for ten seconds and no longer, whatever its file says (1.20 to
# 1.30). All its phases but the first find done what is done.
_ATTEMPTS_MORE = ("second", "third")


def slow_init(arguments: Iterable[str]) -> str:
    """Write the script that initialises a control plane in a slow machine's order.

    Args:
        arguments: Arguments for ``kubeadm init`` and its phases.

    Returns:
        A shell script; it ends as ``kubeadm init`` does.
    """
    arguments = tuple(arguments)
    controllers = "".join(
        f"    {shlex.join(['kubeadm', 'init', 'phase', 'control-plane', name, *arguments])}\n"
        for name in _CONTROLLERS
    )
    return (
        "begin_controllers() {\n"
        f"    until {API_IS_OPEN} && kubectl --kubeconfig {ADMIN_CONF} get --raw /healthz; do\n"
        "        sleep 1\n"
        "    done >/dev/null 2>&1\n"
        f"{controllers}"
        "}\n"
        "begin_controllers &\n"
        f"{_init(arguments)}; status=$?\n"
        f"for attempt in {' '.join(_ATTEMPTS_MORE)}; do\n"
        f"    [ $status != 0 ] && [ -s {ADMIN_CONF} ] || break\n"
        "    sleep 15\n"
        f"    {_init(arguments, 'preflight')}; status=$?\n"
        "done\n"
        "[ $status = 0 ] || kill $!\n"
        "wait\n"
        "exit $status\n"
    )


def _init(arguments: Iterable[str], *skipped: str) -> str:
    phases = ",".join([*skipped, *(f"{_PHASE}{name}" for name in _CONTROLLERS)])
    return shlex.join([*INIT_COMMAND, "--skip-phases", phases, *arguments])
