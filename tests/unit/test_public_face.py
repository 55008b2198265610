"""The public face: complete, documented, and light to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest

import kutti_sdk
from kutti_sdk.core.errors import KuttiError

HEAVY = ("asyncssh", "httpx", "ipywidgets", "trio", "cryptography", "rich", "asyncio", "anyio")


def errors_below(error: type[KuttiError]) -> Iterator[type[KuttiError]]:
    yield error
    for child in error.__subclasses__():
        yield from errors_below(child)


def loaded_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after some code."""
    program = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("name", [name for name in kutti_sdk.__all__ if name != "__version__"])
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(kutti_sdk, name)), name


def test_names_are_listed_once_and_found_by_completion() -> None:
    assert len(set(kutti_sdk.__all__)) == len(kutti_sdk.__all__)
    assert set(kutti_sdk.__all__) <= set(dir(kutti_sdk))


def test_every_error_is_public() -> None:
    ours = [
        error for error in errors_below(KuttiError) if error.__module__.startswith("kutti_sdk.")
    ]
    assert {error.__name__ for error in ours} <= set(kutti_sdk.__all__)


def test_public_functions_do_not_hide_subpackages() -> None:
    # Importing a subpackage sets an attribute of its parent, so that a function of the
    # same name would be replaced by a module sooner or later.
    import pkgutil

    subpackages = {module.name for module in pkgutil.iter_modules(kutti_sdk.__path__)}
    assert not subpackages & set(kutti_sdk.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        kutti_sdk.nonsense  # noqa: B018 - reading it is what fails


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert kutti_sdk.__version__ == version("kutti_sdk")


def test_importing_loads_next_to_nothing() -> None:
    loaded = loaded_after("import kutti_sdk")
    assert not loaded.intersection(HEAVY)
    assert {name for name in loaded if name.startswith("kutti_sdk")} == {"kutti_sdk"}


def test_describing_a_cluster_loads_no_ssh_and_no_http_library() -> None:
    loaded = loaded_after("import kutti_sdk; kutti_sdk.cluster('lab').nodes(3).forward(80, to=80)")
    assert not loaded & {"asyncssh", "httpx", "ipywidgets", "trio", "rich"}
