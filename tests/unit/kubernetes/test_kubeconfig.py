"""Kubeconfigs: made to work from here, merged without losing what is the user's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kutti_sdk.core.errors import InvalidInputError, StateError
from kutti_sdk.kubernetes.kubeconfig import (
    merge_kubeconfig,
    merged_kubeconfig,
    rewritten,
    users_kubeconfig,
    write_kubeconfig,
)
from kutti_sdk.kubernetes.yaml_documents import read_documents

ADMIN_CONF = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: QUJD
    server: https://192.168.125.11:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: QUJD
    client-key-data: QUJD
"""

USERS_OWN = """\
# my clusters
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work   # do not touch
  cluster: {server: "https://work.example", proxy-url: 'http://proxy.example'}
users:
- name: me
  user:
    exec: {command: aws, apiVersion: client.authentication.k8s.io/v1, args: [token]}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: team}
extensions:
- name: something
  extension: {kept: 2024-01-01}
"""

NEW = rewritten(ADMIN_CONF, "kutti-lab", "https://127.0.0.1:40000")


def test_the_server_is_where_this_machine_reaches_it() -> None:
    (config,) = read_documents(NEW, what="it")
    (cluster,) = config["clusters"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:40000"
    assert cluster["cluster"]["certificate-authority-data"] == "QUJD"


def test_cluster_user_and_context_have_names_that_no_other_cluster_has() -> None:
    (config,) = read_documents(NEW, what="it")
    for key in ("clusters", "users", "contexts"):
        assert [it["name"] for it in config[key]] == ["kutti-lab"]
    assert config["contexts"][0]["context"] == {"cluster": "kutti-lab", "user": "kutti-lab"}
    assert config["current-context"] == "kutti-lab"


def test_everything_of_the_users_own_stays_comments_too() -> None:
    text = merged_kubeconfig(USERS_OWN, NEW, "it")
    left = [line for line in USERS_OWN.splitlines() if not line.startswith("current-context")]
    assert [line for line in left if line not in text.splitlines()] == []
    (config,) = read_documents(text, what="it")
    assert [it["name"] for it in config["clusters"]] == ["work", "kutti-lab"]
    assert config["current-context"] == "kutti-lab"


def test_merging_twice_replaces_the_same_cluster() -> None:
    once = merged_kubeconfig(USERS_OWN, NEW, "it")
    other = rewritten(ADMIN_CONF, "kutti-lab", "https://127.0.0.1:50000")
    twice = merged_kubeconfig(once, other, "it")
    assert "127.0.0.1:40000" not in twice
    assert twice.count("name: kutti-lab") == once.count("name: kutti-lab")


@pytest.mark.parametrize("lists", ["null", "[]"])
def test_a_kubeconfig_with_nothing_in_it_takes_the_new_one(lists: str) -> None:
    present = f"apiVersion: v1\nclusters: {lists}\nusers: {lists}\n"
    (config,) = read_documents(merged_kubeconfig(present, NEW, "it"), what="it")
    assert [it["name"] for it in config["users"]] == ["kutti-lab"]


@pytest.mark.anyio
async def test_it_is_for_this_user_alone_to_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    await write_kubeconfig(NEW, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    await write_kubeconfig(NEW, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.anyio
@pytest.mark.parametrize("present", ["clusters: {a: b}\n", "clusters: [a]\n", "- a\n", "a: [\n"])
async def test_what_is_no_kubeconfig_is_left_alone(tmp_path: Path, present: str) -> None:
    path = tmp_path / "config"
    path.write_text(present)
    with pytest.raises(InvalidInputError):
        await merge_kubeconfig(NEW, path)
    assert path.read_text() == present


@pytest.mark.anyio
async def test_a_users_file_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StateError):
        await merge_kubeconfig(NEW, path)
    assert path.read_bytes() == b"\xff\xfe"


@pytest.mark.anyio
async def test_merging_makes_the_file_when_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "kube" / "config"
    await merge_kubeconfig(NEW, path)
    assert path.read_text() == NEW


def test_the_users_file_is_the_one_that_kubectl_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/one:/two")
    assert users_kubeconfig() == Path("/one")
    monkeypatch.delenv("KUBECONFIG")
    assert users_kubeconfig() == Path("~/.kube/config").expanduser()
