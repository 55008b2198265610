"""Patches for the control plane's pods on a slow machine.

kubelet kills what does not answer its probes in time: after 80 s by default, and
24 s later again. An emulated API server is not up by then, and dies of being
killed. Startup gets 20 minutes here, and liveness forgives some minutes. It also asks
the API server every second whether it is ready, over a new TLS connection: a tenth of
an emulated processor.

kubeadm merges ``TARGET.yaml`` into the pod of that name (all versions from 1.19).
"""

from __future__ import annotations

from kutti_sdk.kubernetes.yaml_documents import write_documents

_TARGETS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_STARTUP_FAILURES = 120  # times kubeadm's period of 10 s
_LIVENESS = {"failureThreshold": 12, "periodSeconds": 30, "timeoutSeconds": 30}
_READINESS = {"periodSeconds": 15, "timeoutSeconds": 30}


def slow_patches() -> dict[str, str]:
    """Write the patches for a slow machine.

    Returns:
        Their files: text by name.
    """
    return {f"{target}.yaml": write_documents(_patch(target)) for target in _TARGETS}


def _patch(target: str) -> dict[str, object]:
    container = {
        "name": target,
        "livenessProbe": dict(_LIVENESS),
        "startupProbe": {"failureThreshold": _STARTUP_FAILURES},
    }
    if target == "kube-apiserver":  # the only one that has this probe in all versions
        container["readinessProbe"] = dict(_READINESS)
    return {"spec": {"containers": [container]}}
