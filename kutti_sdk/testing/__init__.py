"""What the tests of drivers, and of programs that use kutti_sdk, are made with.

Importing this package needs pytest, which kutti_sdk itself does not.

`DriverConformance` is the suite that every driver must pass.
"""

import pytest

pytest.register_assert_rewrite("kutti_sdk.testing.conformance")

from kutti_sdk.testing.conformance import DriverConformance  # noqa: E402 - after the line above

__all__ = ["DriverConformance"]
