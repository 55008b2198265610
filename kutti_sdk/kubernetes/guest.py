"""A host as this package sees it: a shell with root's rights, reached over SSH.

Every script has a title, which is its first line, as a comment::

    # kutti: job kubeadm-init

Whoever reads a log, or answers for a simulated host, knows it by that.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from kutti_sdk.core.errors import KubernetesError
from kutti_sdk.core.host import VMHost
from kutti_sdk.core.ssh import CommandResult, RunningCommand, SSHClient

FOLDER = "/var/lib/kutti"
"""Where a node keeps what is ours: kubeadm's configuration, its output, the pod network."""

MARK = "# kutti: "
"""What the first line of every script begins with; its title follows."""

# On the disk before it has its name: a host may lose its power at any time.
_WRITE = """\
set -eu; umask 077
while read -r file content; do
    mkdir -p "${file%/*}"
    echo "$content" | base64 --decode >"$file.new"
    sync "$file.new"; mv "$file.new" "$file"
done
"""

_PATIENCE = 300.0
"""Seconds for a script that asks or writes something; seconds are enough, but for an
emulated host that starts a control plane at the same time."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A host that can be reached.

    Attributes:
        host: The host.
        ssh: A client that can log in to it.
        address: Where its SSH server is.
        is_root: Whether that client logs in as root; else it must be let use sudo.
    """

    host: VMHost
    ssh: SSHClient
    address: str
    is_root: bool

    @property
    def name(self) -> str:
        """The host's name, which is its node's name in Kubernetes as well."""
        return self.host.name

    @property
    def cluster(self) -> str:
        """Name of its cluster."""
        return self.host.clustername

    async def run(
        self,
        title: str,
        script: str,
        *,
        stdin: str | None = None,
        timeout: float | None = _PATIENCE,
    ) -> CommandResult:
        """Run a script that may fail.

        Args:
            title: What it is, in a word or two.
            script: A shell script.
            stdin: Text for its standard input; None for none. Secrets go here.
            timeout: Seconds it may take; None for as long as it takes.

        Returns:
            The result, whatever the exit status.

        Raises:
            SSHConnectionError: When the host could not be reached or the line was lost.
            CommandTimeoutError: When it took longer.
        """
        command = self._command(title, script)
        return await self.ssh.run_with_results(self.address, command, stdin=stdin, timeout=timeout)

    async def do(
        self,
        title: str,
        script: str,
        *,
        phase: str,
        stdin: str | None = None,
        timeout: float | None = _PATIENCE,
    ) -> str:
        """Run a script that must not fail.

        Args:
            title: What it is, in a word or two.
            script: A shell script.
            phase: What is going on, for the error.
            stdin: Text for its standard input; None for none.
            timeout: Seconds it may take; None for as long as it takes.

        Returns:
            What it wrote to standard output.

        Raises:
            KubernetesError: When it fails; what it wrote is the log.
        """
        result = await self.run(title, script, stdin=stdin, timeout=timeout)
        if not result.ok:
            raise KubernetesError(
                f"{title!r} failed on {self.name} with status {result.exit_status}",
                phase=phase,
                log=(result.stderr or result.stdout).strip()[-2000:],
                cluster=self.cluster,
                host=self.name,
            )
        return result.stdout

    def stream(self, title: str, script: str) -> AbstractAsyncContextManager[RunningCommand]:
        """Run a script and follow its output; leaving the block terminates it.

        Args:
            title: What it is, in a word or two.
            script: A shell script.

        Returns:
            A context manager for the running script.
        """
        return self.ssh.stream(self.address, self._command(title, script))

    async def write(self, files: Mapping[str, str], *, phase: str) -> None:
        """Write files beside and put each in place in one step; folders are made.

        Args:
            files: Their contents, never seen in a list of processes, by path, which has
                no blanks. They are readable by root alone.
            phase: What is going on, for the error.
        """
        await self.do(f"write {' '.join(files)}", _WRITE, phase=phase, stdin=_written(files))

    def _command(self, title: str, script: str) -> str:
        text = f"{MARK}{title}\n{script}"
        return text if self.is_root else shlex.join(["sudo", "-n", "sh", "-c", text])


async def reach(host: VMHost) -> Guest:
    """Make the handle for a host whose SSH server answers.

    Args:
        host: The host.

    Returns:
        The handle; no connection is made yet.

    Raises:
        PortNotForwardedError: When no way to its SSH server is known.
    """
    credentials = await host.ssh_credentials()
    return Guest(
        host, await host.ssh_client(), await host.ssh_address(), credentials.username == "root"
    )


def _written(files: Mapping[str, str]) -> str:
    """Write down files as `_WRITE` reads them."""
    return "".join(f"{path} {b64encode(text.encode()).decode()}\n" for path, text in files.items())
