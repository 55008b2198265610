"""kubectl on the control plane, over SSH: no port, no certificate and no client here."""

from __future__ import annotations

from dataclasses import replace

from kutti_sdk.core.errors import KubernetesError
from kutti_sdk.core.ssh import CommandResult
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.kubernetes.kubeadm_config import API_PORT
from kutti_sdk.kubernetes.node_facts import ADMIN_CONF

API_IS_OPEN = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{API_PORT}' 2>/dev/null"
"""Shell command for the control plane that tells whether its API server takes connections."""

_PATIENCE = 300.0  # seconds; an emulated API server takes tens of them for a drain


async def kubectl(
    control_plane: Guest,
    arguments: str,
    *,
    stdin: str | None = None,
    timeout: float | None = _PATIENCE,
    phase: str | None = None,
) -> CommandResult:
    """Run kubectl as the cluster's administrator.

    Args:
        control_plane: The control plane.
        arguments: What follows the word ``kubectl``, as in a shell.
        stdin: Text for its standard input; None for none.
        timeout: Seconds it may take; None for as long as it takes.
        phase: What is going on, when it must not fail; None when it may.

    Returns:
        The result; its command is what a user would have typed.

    Raises:
        KubernetesError: With a phase, when the exit status is not 0.
        SSHConnectionError: When the control plane could not be reached.
        CommandTimeoutError: When it took longer.
    """
    script = f"export KUBECONFIG={ADMIN_CONF}\nkubectl {arguments}\n"
    title = f"kubectl {arguments.splitlines()[0] if arguments else ''}"
    answer = await control_plane.run(title, script, stdin=stdin, timeout=timeout)
    result = replace(answer, command=f"kubectl {arguments}")
    if phase is not None and not result.ok:
        raise KubernetesError(
            f"{result.command!r} failed with status {result.exit_status}",
            phase=phase,
            log=result.stderr.strip()[-2000:],
            cluster=control_plane.cluster,
            host=control_plane.name,
        )
    return result
