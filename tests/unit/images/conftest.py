from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_server import FaultServer

from kutti_sdk.images.download import fetching


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A server of files over HTTP, reached directly whatever proxies there are."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FaultServer() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads are given up after a few attempts, and wait for milliseconds."""
    policy = fetching.RetryPolicy(
        attempts=3, first_wait=0.01, longest_wait=0.02, longest_retry_after=0.2
    )
    monkeypatch.setattr(fetching, "DEFAULT_POLICY", policy)
