"""What kubeadm prints for those who join by hand is what our workers join with."""

from __future__ import annotations

import pytest

from kutti_sdk.kubernetes.workers import Invitation, parse_invitation

HASH = "sha256:" + "4f" * 32
WARNING = "W1122 18:30:10.123456    1234 configset.go:348] WARNING: kubeadm cannot validate it\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            f"{WARNING}kubeadm join lab:6443 --token abcdef.01234567     "
            f"--discovery-token-ca-cert-hash {HASH} \n",
            id="1.20",
        ),
        pytest.param(
            "kubeadm join lab:6443 --token abcdef.01234567 "
            f"--discovery-token-ca-cert-hash {HASH}\n",
            id="1.36",
        ),
    ],
)
def test_endpoint_token_and_hash_are_found(answer: str) -> None:
    assert parse_invitation(answer) == Invitation("lab:6443", "abcdef.01234567", HASH)


@pytest.mark.parametrize(
    "answer",
    ["", WARNING, "kubeadm join\n", "kubeadm join lab:6443 --token\n", 'kubeadm join "lab\n'],
)
def test_an_answer_without_them_is_noticed(answer: str) -> None:
    assert parse_invitation(answer) is None
