"""What the tests of drivers, and of programs that use kutti_sdk, are made with.

Importing this package needs pytest, which kutti_sdk itself does not.

| name | its job |
|---|---|
| `DriverConformance` | the suite that every driver must pass |
| `plugin` | fixtures and markers for tests of programs; pytest loads it by itself |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kutti_sdk.testing.conformance import DriverConformance

pytest.register_assert_rewrite("kutti_sdk.testing.conformance")

__all__ = ["DriverConformance"]


def __getattr__(name: str) -> object:
    # Late, because every run of pytest imports this package with the plugin.
    if name == "DriverConformance":
        from kutti_sdk.testing.conformance import DriverConformance

        return DriverConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
