"""Patches for the control plane's pods on a slow machine.

kubelet kills what does not answer its probes in time: after 80 s by default, and
24 s later again. An emulated API server is not up by then, and dies of being
killed. Startup gets 20 minutes here, and liveness forgives a minute and a half.
kubeadm merges ``TARGET.yaml`` into the pod of that name (all versions from 1.19).
"""

from __future__ import annotations

from kutti_sdk.kubernetes.yaml_documents import write_documents

_TARGETS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_STARTUP_FAILURES = 120  # times kubeadm's period of 10 s
_LIVENESS_FAILURES = 24  # of 15 s of time-out each at most


def slow_patches() -> dict[str, str]:
    """Write the patches for a slow machine.

    Returns:
        Their files: text by name.
    """
    return {f"{target}.yaml": write_documents(_patch(target)) for target in _TARGETS}


def _patch(target: str) -> dict[str, object]:
    container = {
        "name": target,
        "livenessProbe": {"failureThreshold": _LIVENESS_FAILURES},
        "startupProbe": {"failureThreshold": _STARTUP_FAILURES},
    }
    return {"spec": {"containers": [container]}}
