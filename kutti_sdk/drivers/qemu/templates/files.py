"""Which file of a template lies where.

```
data_dir()/qemu/templates/
    .lock                held while a template is put in place, used or removed
    .making.lock         held while one is made; what is half made then is nobody's
    .NAME.XXXXXXXX/      a template that is not complete
    NAME/
        template.json    the record
        memory           the memory of the host that was saved, with holes
        devices          what QEMU knows of processor and devices
        disk-*.qcow2     its disk, an overlay over that of the image
        identity, console.log, qemu.pid   only while it is being made
runtime_dir()/template/  sockets of the host that a template is made with
```

Hosts have hard links to the files that they need: a template can be removed at any time.
It lies with the hosts, and not with the images, because links lead across no file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kutti_sdk.drivers.qemu.layout import (
    HALF_MADE,
    Sockets,
    network_sockets,
    templates_folder,
)
from kutti_sdk.drivers.qemu.resume import ResumeFiles


@dataclass(frozen=True, slots=True)
class TemplateFiles:
    """The files of a template.

    Attributes:
        folder: Their folder.
    """

    folder: Path

    @property
    def record(self) -> Path:
        """The template's record."""
        return self.folder / "template.json"

    @property
    def state(self) -> ResumeFiles:
        """Memory and devices."""
        return ResumeFiles(self.folder)

    @property
    def identity(self) -> Path:
        """What QEMU puts into the SMBIOS tables while it is being made."""
        return self.folder / "identity"

    @property
    def console(self) -> Path:
        """What it writes to its serial console while it is being made."""
        return self.folder / "console.log"

    @property
    def pid(self) -> Path:
        """Process id of its QEMU while it is being made."""
        return self.folder / "qemu.pid"


def template_files(name: str) -> TemplateFiles:
    """Find the files of a template.

    Args:
        name: Its name.

    Returns:
        The files, whether they exist or not.
    """
    return TemplateFiles(templates_folder() / name)


def maker_sockets() -> Sockets:
    """Find the sockets of the host that a template is made with.

    Returns:
        The sockets; no network has an id like theirs.
    """
    return network_sockets("template")


def store_lock() -> Path:
    """Find the lock over all templates.

    Returns:
        The lock file.
    """
    return templates_folder() / f"{HALF_MADE}lock"


def making_lock() -> Path:
    """Find the lock that whoever makes a template holds.

    Returns:
        The lock file.
    """
    return templates_folder() / f"{HALF_MADE}making.lock"
