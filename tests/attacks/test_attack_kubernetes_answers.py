"""A control plane that is not ours any more, and what it can do to this machine by its answers."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.kubernetes.conditions import parse_status
from kutti_sdk.kubernetes.jobs import _Lines
from kutti_sdk.kubernetes.kubeconfig import rewritten
from kutti_sdk.kubernetes.node_facts import parse_facts
from kutti_sdk.kubernetes.yaml_documents import read_documents

KUBECONFIG = """\
clusters:
- cluster:
    certificate-authority-data: QUJD
    server: https://192.168.125.11:6443
    {cluster}
users:
- user:
    client-certificate-data: QUJD
    client-key-data: QUJD
    {user}
{more}
"""


@pytest.mark.parametrize(
    "user",
    [
        "exec: {command: /bin/sh, args: [-c, id], apiVersion: client.authentication.k8s.io/v1}",
        "auth-provider: {name: oidc, config: {cmd-path: /bin/sh}}",
        "client-key: /home/user/.ssh/id_ed25519",
        "tokenFile: /home/user/.kube/cache/token",
        "token: abc",
        "as: somebody",
    ],
)
def test_a_fetched_kubeconfig_runs_no_program_and_reads_no_file(user: str) -> None:
    text = KUBECONFIG.format(cluster="", user=user, more="")
    (config,) = read_documents(rewritten(text, "lab", "https://127.0.0.1:1"), what="it")
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


@pytest.mark.parametrize(
    "cluster",
    [
        "proxy-url: http://collector.example",
        "certificate-authority: /etc/passwd",
        "insecure-skip-tls-verify: true",
        "tls-server-name: other",
    ],
)
def test_a_fetched_kubeconfig_leads_nowhere_else(cluster: str) -> None:
    text = KUBECONFIG.format(cluster=cluster, user="", more="extensions: [{name: x}]")
    (config,) = read_documents(rewritten(text, "lab", "https://127.0.0.1:1"), what="it")
    assert config["clusters"][0]["cluster"] == {
        "certificate-authority-data": "QUJD",
        "server": "https://127.0.0.1:1",
    }
    assert set(config) == {
        *("apiVersion", "kind", "clusters", "users", "contexts", "current-context"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: b\n",
        "clusters: []\nusers: []\n",
        KUBECONFIG.format(cluster="", user="", more="").replace("QUJD", "no_base64"),
        KUBECONFIG.format(cluster="", user="", more="").replace("QUJD", "QUJDR"),
        KUBECONFIG.format(cluster="", user="", more="").replace("QUJD", "[a]"),
        KUBECONFIG.format(cluster="", user="client-key-data: QUJE", more=""),
        KUBECONFIG.format(cluster="", user="", more="#" * 100_000),
    ],
)
def test_what_is_no_kubeconfig_of_kubeadm_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        rewritten(text, "lab", "https://127.0.0.1:1")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("more", ["[" * 60_000, "a: " * 20_000, "  - a-data: " * 5000])
def test_a_fetched_kubeconfig_costs_no_time_however_it_is_nested(more: str) -> None:
    text = KUBECONFIG.format(cluster="", user="", more=more)
    assert len(rewritten(text, "lab", "https://127.0.0.1:1")) < 1000


NONSENSE = [
    "clock now",
    "clock " + "9" * 5000,
    "clock -1",
    "clock ١٢",
    "authority !",
    "authority ä",
    "api-server " + b64encode(b"-----BEGIN CERTIFICATE-----\n").decode(),
    "kubelet-client AAA",
]


@pytest.mark.parametrize("line", NONSENSE)
def test_facts_that_make_no_sense_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_facts(f"kubeadm v1.34.0\n{line}\n")


@given(st.text())
def test_any_facts_are_read_or_refused(text: str) -> None:
    try:
        parse_facts(text)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "answer",
    [
        '{"items": [{"kind": "Node", "metadata": {"name": ["a"]}}]}',
        '{"items": [{"kind": "Node", "metadata": {"name": "a"}, "status": []}]}',
        '{"items": [{"kind": "Pod", "metadata": null}]}',
        '{"items": [{"kind": "Secret"}]}',
        '{"items": {}}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_a_status_that_makes_no_sense_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_status(answer)


def test_a_status_may_leave_out_what_is_not_known() -> None:
    status = parse_status(
        '{"items": [{"kind": "Node", "metadata": {"name": "a"}, "status": null}]}'
    )
    assert str(status.nodes[0]) == "NotReady (no word of its kubelet)"


def test_a_job_that_never_ends_its_line_does_not_fill_the_memory() -> None:
    heard: list[str] = []
    lines = _Lines(heard.append)
    for _ in range(100):
        lines.feed("x" * 10_000)
    assert sum(map(len, heard)) > 900_000
    assert max(map(len, heard)) < 80_000
