"""Run a program as root of a user namespace of its own.

A program on its own, started by `namespace.py` with the interpreter's bare
standard library; it imports nothing of kutti_sdk:

    python -IS enter_namespace.py LIFELINE UID GID COUNT FOLDER PROGRAM [ARGUMENT...]

Inside, users 0 to COUNT - 1 are the users UID to UID + COUNT - 1 outside, who
own nothing. Root inside can do nothing outside that those users cannot do: not
even when this program is started by root can it change the machine's own files.
See user_namespaces(7).

The program is also the first process of a process namespace, so that whatever
it starts ends with it. It is killed when this process is, or when the other end
of the pipe LIFELINE is closed, which the kernel does for a caller that dies.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000  # linux/sched.h
_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)


def main(lifeline: str, uid: str, gid: str, count: str, folder: str, *command: str) -> int:
    """Run the program inside and wait for it.

    Args:
        lifeline: The reading end of a pipe, a descriptor's decimal number.
        uid: First user outside, a decimal number.
        gid: First group outside, a decimal number.
        count: How many users and groups there are inside.
        folder: Where the program starts; seen with the rights of root inside.
        command: The program and its arguments.

    Returns:
        The program's exit status.
    """
    os.set_inheritable(int(lifeline), False)
    _enter((uid, gid), count)
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.umask(0o022)
        os.chdir(folder)
        os.execvp(command[0], command)  # noqa: S606 - there is no shell to want
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, int(lifeline)], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _enter(starts: tuple[str, str], count: str) -> None:
    unshared_read, unshared_write = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(unshared_write)
        os.read(unshared_read, 1)  # returns when the other end is closed
        os._exit(_map_ids(os.getppid(), starts, count))
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID) != 0:
        sys.exit(f"cannot make a user namespace: {os.strerror(ctypes.get_errno())}")
    os.close(unshared_write)
    if os.waitpid(mapper, 0)[1] != 0:
        sys.exit("cannot map the users of the namespace")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _map_ids(pid: int, starts: tuple[str, str], count: str) -> int:
    """Map the users and groups of a process's new namespace, from outside of it."""
    for kind, start in zip(("uid", "gid"), starts, strict=True):
        if os.geteuid() != 0:
            status = subprocess.call([f"new{kind}map", str(pid), "0", start, count])
            if status != 0:
                return 1
            continue
        try:
            Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {start} {count}\n")
        except OSError as error:
            sys.stderr.write(f"{kind}_map: {error.strerror}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
