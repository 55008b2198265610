from __future__ import annotations

from collections.abc import Iterator

import pytest
from loopback_server import LoopbackServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """A server of files over HTTP, reached directly whatever proxies there are."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = LoopbackServer()
    yield running
    running.stop()
