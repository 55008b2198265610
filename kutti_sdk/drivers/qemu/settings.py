"""What a user may set about images: arguments, environment, configuration file.

An argument goes before the environment, that before ``config_dir()/qemu.toml``,
and that before the defaults. All but the arguments is read anew at every use.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.images.catalogue.refresh import check_source
from kutti_sdk.runtime.directories import config_dir
from kutti_sdk.runtime.http import DEFAULT_STALL_TIMEOUT, HttpSettings

LIST_VARIABLE = "KUTTI_QEMU_IMAGE_LIST"
"""Environment variable that names image lists: URLs or files, separated by white space."""

_RELEASE = "https://github.com/kuttiproject/driver-vbox-images/releases/download/v0.4"

DEFAULT_LISTS = (f"{_RELEASE}/driver-vbox-images.json",)
"""The list that the kutti project publishes with its images for VirtualBox.

Source: ImagesVersion and ImagesSourceURL in kuttiproject/driver-vbox.
"""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Where images come from; None is for what is not set here.

    Attributes:
        image_lists: URLs or files of image lists, the most important one first.
        proxy: URL of a proxy.
        ca_file: File with further certificate authorities, in PEM form.
        stall_timeout: Seconds without a single byte before a transfer counts as stalled.
    """

    image_lists: tuple[str, ...] | None = None
    proxy: str | None = None
    ca_file: str | None = None
    stall_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.image_lists is not None:
            lists = tuple(dict.fromkeys(map(check_source, self.image_lists)))
            object.__setattr__(self, "image_lists", lists)
        if self.stall_timeout is not None and not self.stall_timeout > 0:
            raise InvalidInputError(
                f"a stall time-out of {self.stall_timeout} s lets nothing through",
                hint="Give seconds, more than 0.",
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """The image lists, or the default ones."""
        return DEFAULT_LISTS if self.image_lists is None else self.image_lists

    @property
    def http(self) -> HttpSettings:
        """How servers are reached."""
        timeout = DEFAULT_STALL_TIMEOUT if self.stall_timeout is None else self.stall_timeout
        return HttpSettings(self.proxy, self.ca_file, timeout)


def from_arguments(
    image_list: str | Sequence[str] | None,
    proxy: str | None,
    ca_file: str | os.PathLike[str] | None,
    stall_timeout: float | None,
) -> ImageSettings:
    """Take settings from the arguments of a driver.

    Args:
        image_list: One image list or several; None for those of the environment.
        proxy: As in `ImageSettings`, as for all others.
        ca_file: A file.
        stall_timeout: Seconds.

    Returns:
        The settings.

    Raises:
        InvalidInputError: When one makes no sense.
    """
    lists = (image_list,) if isinstance(image_list, str) else image_list
    return ImageSettings(
        image_lists=None if lists is None else tuple(lists),
        proxy=proxy,
        ca_file=None if ca_file is None else os.fspath(ca_file),
        stall_timeout=stall_timeout,
    )


async def resolve(given: ImageSettings) -> ImageSettings:
    """Complete settings by those of the environment and of the configuration file.

    Args:
        given: The arguments.

    Returns:
        What is in force now.

    Raises:
        InvalidInputError: When the environment or the file says what makes no sense.
    """
    layers = [
        given,
        _from_environment(),
        await anyio.to_thread.run_sync(_from_file, config_dir() / "qemu.toml"),
    ]
    chosen: dict[str, Any] = {}
    for field in fields(ImageSettings):
        values = (getattr(layer, field.name) for layer in layers)
        chosen[field.name] = next((value for value in values if value is not None), None)
    return ImageSettings(**chosen)


def _from_environment() -> ImageSettings:
    lists = os.environ.get(LIST_VARIABLE, "").split()
    return ImageSettings(image_lists=tuple(lists) or None)


def _from_file(path: Path) -> ImageSettings:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = table.keys() - {field.name for field in fields(ImageSettings)}
        if unknown:
            raise ValueError(f"nobody knows {', '.join(sorted(unknown))}")
        return msgspec.convert(table, ImageSettings)
    except FileNotFoundError:
        return ImageSettings()
    except (OSError, ValueError) as error:  # of TOML and msgspec too
        cause = error.__cause__
        reason = cause.message if isinstance(cause, InvalidInputError) else error
        raise InvalidInputError(
            f"the configuration file {path} cannot be used: {reason}",
            hint="It may set image_lists = [...], proxy, ca_file and stall_timeout.",
        ) from error
