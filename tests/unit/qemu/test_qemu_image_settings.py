"""Where images come from: arguments before the environment, before a file, before defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from kutti_sdk.core.errors import ImageListError, InvalidInputError
from kutti_sdk.drivers.qemu import QemuDriver
from kutti_sdk.drivers.qemu.settings import DEFAULT_LISTS, ImageSettings, from_arguments, resolve
from kutti_sdk.runtime.directories import config_dir

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("workspace")]

NOTHING = from_arguments(None, None, None, None)


@pytest.fixture(autouse=True)
def no_lists_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUTTI_QEMU_IMAGE_LIST", raising=False)


def configure(text: str) -> None:
    (config_dir() / "qemu.toml").write_text(text)


async def test_without_any_setting_the_projects_own_list_is_used() -> None:
    settings = await resolve(NOTHING)
    assert settings.sources == DEFAULT_LISTS
    assert settings.sources[0].endswith("/v0.4/driver-vbox-images.json")
    assert settings.http.stall_timeout == 30.0
    assert settings.http.proxy is None


async def test_the_file_goes_before_the_defaults() -> None:
    configure(
        'image_lists = ["https://lab.example/a.json", "/srv/b.json"]\n'
        'proxy = "http://proxy.example:3128"\nca_file = "/etc/lab.pem"\nstall_timeout = 5\n'
    )
    settings = await resolve(NOTHING)
    assert settings.sources == ("https://lab.example/a.json", "/srv/b.json")
    assert settings.http.proxy == "http://proxy.example:3128"
    assert settings.http.ca_file == "/etc/lab.pem"
    assert settings.http.stall_timeout == 5.0


async def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    configure('image_lists = ["https://lab.example/a.json"]\nproxy = "http://proxy.example:3128"')
    monkeypatch.setenv("KUTTI_QEMU_IMAGE_LIST", "https://one.example/x  https://two.example/y\n")
    settings = await resolve(NOTHING)
    assert settings.sources == ("https://one.example/x", "https://two.example/y")
    assert settings.http.proxy == "http://proxy.example:3128"


async def test_arguments_go_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUTTI_QEMU_IMAGE_LIST", "https://one.example/x")
    settings = await resolve(from_arguments("https://mine.example/z", None, None, 3))
    assert settings.sources == ("https://mine.example/z",)
    assert settings.http.stall_timeout == 3.0


async def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUTTI_QEMU_IMAGE_LIST", " ")
    assert (await resolve(NOTHING)).sources == DEFAULT_LISTS


async def test_a_lab_may_have_no_list_at_all() -> None:
    driver = QemuDriver(image_list=())
    assert await driver.list_images() == []
    with pytest.raises(ImageListError, match="no image list is named"):
        await driver.fetch_image_list()


async def test_a_file_is_the_same_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ImageSettings(image_lists=("images.json", str(tmp_path / "images.json")))
    assert settings.sources == (str(tmp_path / "images.json"),)


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_list": "ftp://example.org/x"},
        {"image_list": ["https://example.org/x", ""]},
        {"stall_timeout": 0},
        {"stall_timeout": float("nan")},
    ],
)
async def test_an_argument_that_makes_no_sense_is_refused_at_once(
    arguments: dict[str, object],
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        QemuDriver(**arguments)  # type: ignore[arg-type]
    assert refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "image_lists = ",
        'image_lists = "https://one.example/x"',
        'image_lists = ["ftp://one.example/x"]',
        'images = ["https://one.example/x"]',
        "proxy = 7",
        "stall_timeout = -1",
        "\0",
    ],
)
async def test_a_file_that_makes_no_sense_is_named(text: str) -> None:
    configure(text)
    with pytest.raises(InvalidInputError, match=r"qemu\.toml cannot be used.*\nHint: ") as refused:
        await QemuDriver().list_images()
    assert str(refused.value).count("Hint") == 1
