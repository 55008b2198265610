"""Secrets do not get into a log archive, and a hostile console does not stop its making."""

from __future__ import annotations

import json
import time
from base64 import b64encode

import pytest
from planted_secrets import HEX, JWT, KEY, LINE, TOKEN

from kutti_sdk.doctor.redaction import LEFT_OUT, without_secrets

HALF_KEY = KEY[: len(KEY) // 2]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (KEY, LINE),
        (f"before\n{HALF_KEY}", "A" * 64),
        (KEY[KEY.index(LINE) :], LINE),
        (json.dumps({"key": KEY}), LINE),
        (f"client-key-data: {b64encode(KEY.encode()).decode()}", b64encode(KEY.encode()).decode()),
        (f"io.systemd.credential.binary:tmpfiles.extra={HEX}", HEX),
        (f"kubeadm join 10.0.0.1:6443 --token {TOKEN} --discovery-token-ca-cert-hash x", TOKEN),
        (f"kubeadm init --upload-certs --certificate-key {HEX}", HEX),
        (f"[bootstrap-token] Using token: {TOKEN}", TOKEN),
        (f"seen {TOKEN}.", TOKEN),
        (f"Authorization: Bearer {JWT}", JWT),
        (f'{{"Authorization": "Bearer {HEX}"}}', HEX),
        (f"the token is {JWT}", JWT),
        ('proxy = "http://ada:lovelace@proxy.example:3128"', "lovelace"),
        ("HTTPS_PROXY=https://ada:lovelace@proxy.example", "lovelace"),
        ("https://ada:love@lace@proxy.example", "lace"),
        ('{"password": "lovelace"}', "lovelace"),
        ("MYSQL_ROOT_PASSWORD=lovelace", "lovelace"),
        ("    token: lovelace", "lovelace"),
    ],
    ids=range(19),
)
def test_a_secret_is_left_out(text: str, secret: str) -> None:
    assert secret in text
    told = without_secrets(text)
    assert secret not in told
    assert LEFT_OUT in told


@pytest.mark.parametrize(
    "text",
    [
        "[  OK  ] Started OpenSSH server",
        "node1 192.168.125.11 52:54:0a:14:1e:0b",
        f"image {'a1' * 32} is whole",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHostKeyOfAHost",
        "https://mirror.example/debian/dists/bookworm/Release",
        "key pair of cluster lab",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    told = without_secrets(f"before\n{KEY}after --token {TOKEN} end")
    assert told.startswith("before")
    assert told.endswith(f"after --token {LEFT_OUT} end")


@pytest.mark.parametrize(
    "piece", ["a1", "1-", "-----BEGIN A", "eyJ-", "eyJaaaaaaaa", "://", "token", "--token ", "a ="]
)
def test_no_text_takes_long(piece: str) -> None:
    # It takes a second; what takes the square of the length takes hours for this much.
    text = piece * (1024 * 1024 // len(piece))
    begun = time.process_time()
    without_secrets(text)
    assert time.process_time() - begun < 30
