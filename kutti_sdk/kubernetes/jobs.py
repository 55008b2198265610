"""Long commands on a node, which go on without us and can be followed again.

A job is a transient systemd unit. Its output and its exit status are files on
the node, so that they outlive a lost connection, a cancelled `ensure` and this
process::

    /var/lib/kutti/jobs/NAME.log        what it wrote
    /var/lib/kutti/jobs/NAME.status     its exit status, once it has ended

Whoever wants a job that runs already follows that one: systemd knows one unit of
a name.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable

import anyio

from kutti_sdk.core.errors import HypervisorError, KubeadmError, SSHConnectionError
from kutti_sdk.core.status import AT_REST
from kutti_sdk.kubernetes.guest import FOLDER, Guest
from kutti_sdk.kubernetes.vigil import Vigil

JOBS = f"{FOLDER}/jobs"

_KILLED = 254  # our own word for a job that ended without a status
_RETRY_STEP = 0.5  # seconds; nothing tells when a line that was lost is back


async def run_job(guest: Guest, name: str, command: str, vigil: Vigil) -> None:
    """Run a command on a node to its end, or follow the one that runs already.

    Args:
        guest: The node.
        name: Name of the job, as part of a systemd unit's name.
        command: A shell command line; not started when the job runs.
        vigil: Hears each line, and notices when nothing happens any more.

    Raises:
        KubeadmError: When the command fails or is killed; its output, the kubelet's
            and those of containers that ended are the log.
        KubernetesStalledError: When nothing happens; it goes on, and can be followed again.
        HypervisorError: When the node stops meanwhile.
    """
    lines = _Lines(vigil.hear)
    run = secrets.token_hex(8)
    while True:
        script = _script(name, command, run=run, skip=lines.bytes_read)
        try:
            status = await _follow(guest, name, script, lines)
        except SSHConnectionError:
            # The job does not mind. The vigil ends this when it lasts.
            await _require_running(guest, vigil)
            await anyio.sleep(_RETRY_STEP)
        else:
            break
    if status == 0:
        return
    ended = "was killed" if status == _KILLED else f"ended with status {status}"
    raise KubeadmError(
        f"{name} {ended} on {guest.name} in phase {vigil.phase!r}",
        phase=vigil.phase,
        log="\n".join(filter(None, (lines.tail(), await vigil.last_words()))),
        hint="Mend what the log tells, and ensure() again: the node is reset and tried anew.",
        cluster=guest.cluster,
        host=guest.name,
    )


async def forget_job(guest: Guest, name: str, *, phase: str) -> None:
    """Stop a job if it runs, and remove what it left.

    Args:
        guest: The node.
        name: Name of the job.
        phase: What is going on, for the error.
    """
    unit = f"kutti-{name}.service"
    script = f"systemctl stop {unit} 2>/dev/null; rm -f {JOBS}/{name}.*; true\n"
    await guest.do(f"forget {name}", script, phase=phase)


async def _follow(guest: Guest, name: str, script: str, lines: _Lines) -> int:
    async with guest.stream(f"job {name}", script) as running:
        async for piece in running:
            if piece.stream == "stdout":
                lines.feed(piece.text)
        status = await running.wait()
    lines.end()
    return status


async def _require_running(guest: Guest, vigil: Vigil) -> None:
    status = await guest.host.status()
    if status in AT_REST:
        raise HypervisorError(
            f"host {guest.name!r} stopped in phase {vigil.phase!r}",
            hint="Look at its console with logs(), and ensure() again.",
            cluster=guest.cluster,
            host=guest.name,
        )


def _script(name: str, command: str, *, run: str, skip: int) -> str:
    """Write the script that starts a job unless it runs, and follows it to its end.

    Args:
        name: Name of the job.
        command: What it runs.
        run: Tells this run from others: a follower that lost its line and comes back
            must not start again what ended while it was away.
        skip: Bytes of output that are known already.
    """
    unit, log, status = f"kutti-{name}.service", f"{JOBS}/{name}.log", f"{JOBS}/{name}.status"
    work = (
        f"( {command} ) >>{log} 2>&1 </dev/null; "
        f"echo $? >{status}.new; sync {status}.new; mv {status}.new {status}"
    )
    begin = (
        f"systemctl is-active --quiet {unit} && exit; "
        f'[ "$(cat {JOBS}/{name}.run 2>/dev/null)" = {run} ] && exit; '
        f"rm -f {status}; : >{log}; echo {run} >{JOBS}/{name}.run; "
        f"exec systemd-run --quiet --collect --unit={unit} "
        f"--setenv=HOME=/root --setenv=PATH=$PATH sh -c {shlex.quote(work)}"
    )
    return (
        f"umask 077; mkdir -p {JOBS}\n"
        f"flock --close {JOBS} sh -c {shlex.quote(begin)} || exit {_KILLED}\n"
        f"pid=$(systemctl show --property=MainPID --value {unit})\n"
        'if [ "${pid:-0}" != 0 ]; then\n'
        f'    tail --bytes=+{skip + 1} --follow --pid="$pid" --sleep-interval=0.2 {log}\n'
        f"else\n    tail --bytes=+{skip + 1} {log}\nfi\n"
        f"exit $(cat {status} 2>/dev/null || echo {_KILLED})\n"
    )


class _Lines:
    """Puts pieces of output together to lines."""

    _KEPT = 40
    _LONGEST = 64 * 1024  # characters

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._rest = ""
        self._last: list[str] = []
        self.bytes_read = 0

    def feed(self, text: str) -> None:
        self.bytes_read += len(text.encode())
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > self._LONGEST:  # no line of kubeadm's: it must not fill the memory
            self.end()

    def end(self) -> None:
        if self._rest:
            self._take(self._rest)
        self._rest = ""

    def tail(self) -> str:
        return "\n".join(self._last)

    def _take(self, line: str) -> None:
        self._last = [*self._last, line][-self._KEPT :]
        self._hear(line)
