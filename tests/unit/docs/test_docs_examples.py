"""What the README and the documentation show in Python is true: it is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_examples import ROOT, examples, pages, run

import kutti_sdk as kutti
from kutti_sdk.core import registry
from kutti_sdk.drivers.simulated import SimulatedDriver


@pytest.fixture
def pretended_qemu(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedDriver:
    """A simulated driver under the name ``qemu``, in whose shell there is a ping."""
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(registry, "_registered", {})
    driver = SimulatedDriver(name="qemu")
    driver.commands.answer("ping *", stdout="64 bytes from node2 (192.168.125.12)\n")
    kutti.register_driver("qemu", driver)
    return driver


def _pages_with_examples() -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages() if any(examples(page))]


@pytest.mark.parametrize("page", _pages_with_examples())
def test_examples_of_a_page_run_in_order(page: str, pretended_qemu: SimulatedDriver) -> None:
    run(ROOT / page)
    assert "0 hosts" in repr(pretended_qemu), "the page leaves hosts behind"


def test_no_example_is_overlooked() -> None:
    for page in pages():
        fences = len(re.findall(r"^ *```\s*\{?python", page.read_text(), re.MULTILINE))
        assert fences == len(list(examples(page))), page


def test_the_ways_to_skip_an_example_are_few() -> None:
    left_out = [example for page in pages() for example in examples(page) if not example.runs]
    assert len(left_out) <= 9


_NOT_FOR_READERS = re.compile(r"/root/(?!site|greeting)|/home/|/tmp/")


def test_no_page_names_a_folder_of_one_machine() -> None:
    texts = [*pages(), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    found = {
        f"{page.relative_to(ROOT)}: {match[0]}"
        for page in texts
        for match in _NOT_FOR_READERS.finditer(page.read_text())
    }
    assert not found
