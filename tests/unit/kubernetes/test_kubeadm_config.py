"""kubeadm's file: right for every kubeadm, and accepted by a real one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kutti_sdk.core.errors import InvalidCIDRError, InvalidInputError, InvalidSpecError
from kutti_sdk.core.versions import K8sVersion
from kutti_sdk.kubernetes.kubeadm_config import (
    NodeIdentity,
    init_config,
    join_config,
    merged,
    patches_flag,
)
from kutti_sdk.kubernetes.kubeadm_patches import slow_patches
from kutti_sdk.kubernetes.kubeconfig import rewritten
from kutti_sdk.kubernetes.options import (
    KubernetesOptions,
    parse_kubeadm_changes,
    refuse_clashes,
    validate_range,
)
from kutti_sdk.kubernetes.yaml_documents import read_documents, write_documents

BUNDLE = Path(__file__).parents[4] / "shared" / "kubernetes-1.20.2"
NODE = NodeIdentity("node1", "192.168.125.11")
TOKEN = "abcdef.0123456789abcdef"
EVERY_API = ["1.20.2", "1.22.0", "1.30.4", "1.31.0", "1.36.3"]


def init(
    version: str = "1.34.1", *, slow: bool = False, alone: bool = False, **options: Any
) -> dict[str, Any]:
    """The documents of an init file, by kind."""
    text = init_text(version, slow=slow, alone=alone, **options)
    return {it["kind"]: it for it in read_documents(text, what="it")}


def init_text(version: str, *, slow: bool = False, alone: bool = False, **options: Any) -> str:
    return init_config(
        K8sVersion.parse(version),
        NODE,
        KubernetesOptions(**options),
        slow=slow,
        alone=alone,
        token=TOKEN,
        patches="/patches",
    )


def join_text(version: str) -> str:
    return join_config(
        K8sVersion.parse(version),
        NodeIdentity("node2", "192.168.125.12"),
        KubernetesOptions(),
        endpoint="192.168.125.11:6443",
        token=TOKEN,
        authority_hash="sha256:" + "0" * 64,
    )


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("1.20.2", "v1beta2"),
        ("1.21.14", "v1beta2"),
        ("1.22.0", "v1beta3"),
        ("1.30.9", "v1beta3"),
        ("1.31.0", "v1beta4"),
        ("1.36.3", "v1beta4"),
    ],
)
def test_the_api_is_the_newest_that_the_kubeadm_reads(version: str, api: str) -> None:
    assert init(version)["ClusterConfiguration"]["apiVersion"] == f"kubeadm.k8s.io/{api}"
    (join,) = read_documents(join_text(version), what="it")
    assert join["apiVersion"] == f"kubeadm.k8s.io/{api}"


@pytest.mark.parametrize("version", EVERY_API)
def test_no_version_is_asked_of_the_internet(version: str) -> None:
    assert init(version)["ClusterConfiguration"]["kubernetesVersion"] == f"v{version}"


def test_arguments_are_a_mapping_and_later_a_list() -> None:
    old = init("1.30.0", slow=True)["ClusterConfiguration"]["etcd"]["local"]["extraArgs"]
    new = init("1.31.0", slow=True)["ClusterConfiguration"]["etcd"]["local"]["extraArgs"]
    assert old == {"heartbeat-interval": "500", "election-timeout": "5000"}
    assert {"name": "heartbeat-interval", "value": "500"} in new


def test_kubeadms_own_patience_is_never_the_limit() -> None:
    old = init("1.30.0")["ClusterConfiguration"]["apiServer"]["timeoutForControlPlane"]
    new = init("1.31.0")["InitConfiguration"]["timeouts"]["kubernetesAPICall"]
    assert old == new == "30m0s"
    assert "timeoutForControlPlane" not in init("1.31.0")["ClusterConfiguration"]["apiServer"]


def test_patches_are_named_on_the_command_line_where_the_file_cannot() -> None:
    assert patches_flag(K8sVersion.parse("1.20.2"), "/p") == ["--experimental-patches", "/p"]
    assert "patches" not in init("1.20.2")["InitConfiguration"]
    assert patches_flag(K8sVersion.parse("1.20.2"), None) == []
    assert patches_flag(K8sVersion.parse("1.22.0"), "/p") == []
    assert init("1.22.0")["InitConfiguration"]["patches"] == {"directory": "/patches"}


def test_a_fast_machine_gets_kubeadms_own_settings() -> None:
    documents = init("1.34.1")
    assert "etcd" not in documents["ClusterConfiguration"]
    assert "leader-elect" not in str(documents)


def test_a_forwarded_port_may_be_used_and_the_node_has_its_own_address() -> None:
    documents = init()
    assert "127.0.0.1" in documents["ClusterConfiguration"]["apiServer"]["certSANs"]
    arguments = documents["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"]
    assert arguments == [{"name": "node-ip", "value": NODE.address}]


def test_only_a_node_that_is_alone_takes_users_pods_beside_the_control_plane() -> None:
    assert init(alone=True)["InitConfiguration"]["nodeRegistration"]["taints"] == []
    assert "taints" not in init(alone=False)["InitConfiguration"]["nodeRegistration"]


def test_the_token_that_init_leaves_lives_for_an_hour() -> None:
    (token,) = init()["InitConfiguration"]["bootstrapTokens"]
    assert token == {"token": TOKEN, "ttl": "1h0m0s"}


def test_a_worker_believes_only_the_authority_that_was_read_over_ssh() -> None:
    (join,) = read_documents(join_text("1.34.1"), what="it")
    discovery = join["discovery"]["bootstrapToken"]
    assert discovery["caCertHashes"] == ["sha256:" + "0" * 64]
    assert "unsafeSkipCAVerification" not in discovery


def test_what_the_user_changes_is_merged_key_by_key() -> None:
    change = parse_kubeadm_changes(
        "kind: ClusterConfiguration\nclusterName: lab\napiServer: {extraArgs: {v: '4'}}\n"
        "---\nkind: KubeletConfiguration\nmaxPods: 20\n"
    )
    documents = init("1.30.0", kubeadm=change)
    cluster = documents["ClusterConfiguration"]
    assert cluster["clusterName"] == "lab"
    assert cluster["apiServer"]["extraArgs"] == {"v": "4"}
    assert "127.0.0.1" in cluster["apiServer"]["certSANs"]
    assert documents["KubeletConfiguration"]["maxPods"] == 20
    assert documents["KubeletConfiguration"]["cgroupDriver"] == "systemd"


def test_lists_of_arguments_are_merged_by_name() -> None:
    base = {"extraArgs": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]}
    change = {"extraArgs": [{"name": "b", "value": "2"}]}
    assert merged(base, change)["extraArgs"] == [
        {"name": "a", "value": "1"},
        {"name": "b", "value": "2"},
    ]


def test_none_takes_a_key_away() -> None:
    assert merged({"a": 1, "b": {"c": 1}}, {"a": None, "b": {"c": None}}) == {"b": {}}


@pytest.mark.parametrize(
    "change",
    ["kind: Pod\n", "clusterName: lab\n", {"ClusterConfiguration": ["a"]}, "a: [", "- a\n"],
)
def test_what_kubeadm_does_not_read_is_refused(change: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_kubeadm_changes(change)


def test_texts_that_older_yaml_takes_for_booleans_are_quoted() -> None:
    text = write_documents({"a": "yes", "b": ["off"], "c": "plain"})
    assert text == 'a: "yes"\nb:\n- "off"\nc: plain\n'


def test_overlapping_ranges_are_refused() -> None:
    options = KubernetesOptions(pod_cidr="192.168.0.0/16")
    with pytest.raises(InvalidSpecError, match=r"nodes.*192\.168\.125.*pods"):
        refuse_clashes(options, "192.168.125.0/24", 2)
    refuse_clashes(KubernetesOptions(), "192.168.125.0/24", 2)


def test_more_nodes_than_pod_ranges_are_refused() -> None:
    with pytest.raises(InvalidSpecError, match="room for 4"):
        refuse_clashes(KubernetesOptions(pod_cidr="10.244.0.0/22"), "192.168.125.0/24", 5)


@pytest.mark.parametrize("cidr", ["10.244.0.0/25", "8.8.0.0/16", "10.244.0.1/16", "pods", None])
def test_ranges_that_cannot_be_those_of_pods_are_refused(cidr: Any) -> None:
    with pytest.raises(InvalidCIDRError):
        validate_range(cidr, "pods")


@pytest.fixture(scope="module")
def kubeadm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real kubeadm 1.20.2, to read files with."""
    packages = sorted(BUNDLE.glob("packages/kubeadm_*.deb"))
    if not packages:
        pytest.skip(f"no kubeadm package in {BUNDLE}")
    folder = tmp_path_factory.mktemp("kubeadm")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True)
    return folder / "usr" / "bin" / "kubeadm"


def run_kubeadm(kubeadm: Path, *arguments: str | Path) -> str:
    """Run it; what it is not sure of it only says, so its warnings are looked at as well."""
    done = subprocess.run(
        [kubeadm, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert "unknown field" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("slow", [True, False])
def test_a_real_kubeadm_reads_the_init_file(kubeadm: Path, tmp_path: Path, slow: bool) -> None:
    config = tmp_path / "init.yaml"
    change = parse_kubeadm_changes({"ClusterConfiguration": {"imageRepository": "example.test"}})
    config.write_text(init_text("1.20.2", slow=slow, kubeadm=change))
    images = run_kubeadm(kubeadm, "config", "images", "list", "--config", config)
    assert "example.test/kube-apiserver:v1.20.2\n" in images
    migrated = run_kubeadm(kubeadm, "config", "migrate", "--old-config", config)
    assert "advertiseAddress: 192.168.125.11" in migrated
    assert "timeoutForControlPlane: 30m0s" in migrated
    assert ("heartbeat-interval" in migrated) == slow


def test_a_real_kubeadm_reads_the_join_file(kubeadm: Path, tmp_path: Path) -> None:
    config = tmp_path / "join.yaml"
    config.write_text(join_text("1.20.2"))
    migrated = run_kubeadm(kubeadm, "config", "migrate", "--old-config", config)
    assert "apiServerEndpoint: 192.168.125.11:6443" in migrated
    assert "timeout: 30m0s" in migrated


def test_the_kubeconfig_that_a_real_kubeadm_writes_is_understood(
    kubeadm: Path, tmp_path: Path
) -> None:
    common = ("--cert-dir", tmp_path, "--kubernetes-version", "v1.20.2")
    address = ("--apiserver-advertise-address", "192.168.125.11", "--kubeconfig-dir", tmp_path)
    run_kubeadm(kubeadm, "init", "phase", "certs", "ca", *common)
    run_kubeadm(kubeadm, "init", "phase", "kubeconfig", "admin", *common, *address)
    written = (tmp_path / "admin.conf").read_text()
    text = rewritten(written, "kutti-lab", "https://127.0.0.1:40000")
    for key in ("certificate-authority-data", "client-certificate-data", "client-key-data"):
        (line,) = (line.strip() for line in written.splitlines() if f"{key}: " in line)
        assert line in text


def test_slow_machines_get_patches_for_each_part_of_the_control_plane() -> None:
    patches = slow_patches()
    assert {name.removesuffix(".yaml") for name in patches} == {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    }
    for name, text in patches.items():
        assert re.search(rf"name: {name.removesuffix('.yaml')}$", text, re.MULTILINE)
