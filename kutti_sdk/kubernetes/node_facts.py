"""Asks a node what it has, how far it is with Kubernetes, and who it believes."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime

from kutti_sdk.core.errors import (
    CertificatesExpiredError,
    InvalidVersionError,
    KubernetesError,
)
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.guest import Guest
from kutti_sdk.kubernetes.jobs import JOBS

INIT = "kubeadm-init"
"""Name of the job that makes a control plane."""

JOIN = "kubeadm-join"
"""Name of the job that makes a worker."""

DONE = "0"
"""Exit status of a job that did what it should."""

RUNNING = "running"
"""Said of a job in the place of its exit status."""

KILLED = "killed"
"""Said of a job that ended without one: the node lost its power, perhaps."""

ADMIN_CONF = "/etc/kubernetes/admin.conf"

_EMULATED = "qemu"  # systemd-detect-virt(1): QEMU without KVM, whatever emulates it

_SECONDS = re.compile(r"[0-9]{1,11}")  # since the epoch; dates of Python end before 12 digits

_PKI = "/etc/kubernetes/pki"
_KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"

_QUESTIONS = f"""\
say() {{ printf '%s %s\\n' "$1" "$2"; }}
job() {{
    [ -e {JOBS}/$2.log ] || return
    if systemctl is-active --quiet kutti-$2.service; then say $1 {RUNNING}
    else say $1 "$(cat {JOBS}/$2.status 2>/dev/null || echo {KILLED})"; fi
}}
certificate() {{ sed -n '/BEGIN CERT/,/END CERT/p' "$1" 2>/dev/null | base64 --wrap=0; }}
say kubeadm "$(kubeadm version --output=short 2>/dev/null)"
say virtualization "$(systemd-detect-virt --vm)"
say boot "$(cat /proc/sys/kernel/random/boot_id)"
say clock "$(date +%s)"
[ -e {ADMIN_CONF} ] && say admin yes
[ -e /etc/kubernetes/kubelet.conf ] && say kubelet yes
job init {INIT}
job join {JOIN}
say authority "$(certificate {_PKI}/ca.crt)"
say api-server "$(certificate {_PKI}/apiserver.crt)"
say kubelet-client "$(certificate {_KUBELET_CERTIFICATE})"
"""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node was a moment ago.

    Attributes:
        kubeadm: Version of its kubeadm; None when it has none.
        emulated: Whether its processor is emulated, so that everything takes long.
        boot_id: Changes with every boot.
        has_admin: Whether there are credentials of an administrator on it.
        has_kubelet: Whether its kubelet has credentials.
        init: How far our ``kubeadm init`` is: its exit status, `RUNNING` or `KILLED`; None
            when it was never begun.
        join: The same of our ``kubeadm join``.
        authority: Certificate of the cluster's authority in PEM; empty when there is none.
        expired: What ran out by the node's own clock: ``api-server``, ``kubelet-client``.
    """

    kubeadm: K8sVersion | None
    emulated: bool
    boot_id: str
    has_admin: bool
    has_kubelet: bool
    init: str | None
    join: str | None
    authority: bytes
    expired: tuple[str, ...]

    @property
    def is_control_plane(self) -> bool:
        """Whether a control plane is complete: ours, or one that was made by hand."""
        return self.has_admin and (self.has_kubelet if self.init is None else self.init == DONE)

    @property
    def is_worker(self) -> bool:
        """Whether it has joined: by us or by hand."""
        return self.has_kubelet and (not self.has_admin if self.join is None else self.join == DONE)

    @property
    def is_touched(self) -> bool:
        """Whether kubeadm has left something on it."""
        return bool(
            self.init is not None
            or self.join is not None
            or self.has_admin
            or self.has_kubelet
            or self.authority
        )


async def ask_node(guest: Guest, *, phase: str) -> NodeFacts:
    """Ask a node for its facts.

    Args:
        guest: The node.
        phase: What is going on, for errors.

    Returns:
        The facts now.

    Raises:
        KubernetesError: When it cannot answer, or its answers make no sense.
    """
    answers = await guest.do("facts", _QUESTIONS, phase=phase)
    try:
        return parse_facts(answers)
    except ValueError as error:
        raise KubernetesError(
            f"what {guest.name} says of itself makes no sense: {error}",
            phase=phase,
            log=answers[-2000:],
            cluster=guest.cluster,
            host=guest.name,
        ) from error


def parse_facts(answers: str) -> NodeFacts:
    """Read a node's answers.

    Args:
        answers: A name, a blank and an answer on each line.

    Returns:
        The facts.

    Raises:
        ValueError: When one makes no sense.
    """
    facts = dict(line.split(" ", 1) for line in answers.splitlines() if " " in line)
    clock = _moment(facts.get("clock") or "0")
    certificates = {
        name: b64decode(facts.get(name, ""), validate=True)
        for name in ("api-server", "kubelet-client")
    }
    return NodeFacts(
        kubeadm=_version(facts.get("kubeadm", "")),
        emulated=facts.get("virtualization") == _EMULATED,
        boot_id=facts.get("boot", ""),
        has_admin="admin" in facts,
        has_kubelet="kubelet" in facts,
        init=facts.get("init"),
        join=facts.get("join"),
        authority=b64decode(facts.get("authority", ""), validate=True),
        expired=tuple(name for name, pem in certificates.items() if pem and _end_of(pem) < clock),
    )


def require_kubeadm(guest: Guest, facts: NodeFacts, wanted: str) -> K8sVersion:
    """Make sure that a node has the kubeadm that its image promised.

    Args:
        guest: The node.
        facts: Its facts.
        wanted: The Kubernetes version that the cluster shall have.

    Returns:
        The version of its kubeadm.

    Raises:
        KubernetesError: When it has none, or one of another minor version.
    """
    if facts.kubeadm is None:
        problem = "there is no kubeadm on it"
    elif facts.kubeadm.minor_version != K8sVersion.parse(wanted).minor_version:
        problem = f"its kubeadm is {facts.kubeadm}, not {wanted}"
    else:
        return facts.kubeadm
    raise KubernetesError(
        f"{guest.name} cannot become a Kubernetes node: {problem}",
        hint="Use an image with Kubernetes inside, or say .bare() for nodes without.",
        phase="preflight",
        cluster=guest.cluster,
        host=guest.name,
    )


def refuse_expired(guest: Guest, facts: NodeFacts) -> None:
    """Make sure that no certificate ran out while a node was stopped.

    Args:
        guest: The node.
        facts: Its facts.

    Raises:
        CertificatesExpiredError: When one did; the hint is the mend.
    """
    if not facts.expired:
        return
    if "api-server" in facts.expired:
        renew = "kubeadm certs renew all && systemctl restart kubelet"
        hint = (
            f'Run on it: "{renew}", then delete the containers of the control plane, or stop '
            "and start the node. Workers whose certificates ran out must join again."
        )
    else:
        hint = "Delete the node and ensure() again: it joins anew and gets new certificates."
    raise CertificatesExpiredError(
        f"certificates of {guest.name} have expired: {', '.join(facts.expired)}",
        hint=hint,
        phase="preflight",
        cluster=guest.cluster,
        host=guest.name,
    )


def _version(text: str) -> K8sVersion | None:
    try:
        return K8sVersion.parse(text.strip())
    except InvalidVersionError:
        return None


def _moment(seconds: str) -> datetime:
    if _SECONDS.fullmatch(seconds) is None:
        raise ValueError(f"{seconds[:40]!r} is no time")
    return datetime.fromtimestamp(int(seconds), UTC)


def _end_of(pem: bytes) -> datetime:
    """Tell until when a certificate is valid."""
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(pem).not_valid_after_utc
    except InvalidVersion as error:
        raise ValueError(str(error)) from error
