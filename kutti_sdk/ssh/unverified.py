"""One command on a host that cannot prove yet who it is.

For the first log-in to a machine that was made elsewhere and knows nothing of us.
The connection is made for one command and kept for no other. Whoever calls this
makes sure otherwise that it leads to the right machine.
"""

from __future__ import annotations

import time

from kutti_sdk.core.errors import HostKeyMismatchError
from kutti_sdk.core.ssh import (
    DEFAULT_CONNECT_TIMEOUT,
    CommandResult,
    SSHCredentials,
    parse_address,
)
from kutti_sdk.runtime.island import on_island
from kutti_sdk.ssh.endpoint import Endpoint


async def run_unverified(
    address: str,
    credentials: SSHCredentials,
    command: str,
    *,
    stdin: str,
    question: str,
    answer: str,
    host: str,
) -> CommandResult:
    """Run one command on a host that answers a question as only it can.

    Args:
        address: ``address:port``.
        credentials: How to log in; its host key is not looked at.
        command: A shell command line.
        stdin: Text for its standard input; it is not sent before the answer was right.
        question: A shell command line that is run before.
        answer: What that writes on the right host.
        host: What the result and errors call the host.

    Returns:
        The result.

    Raises:
        HostKeyMismatchError: When the answer is another.
        SSHAuthenticationError: When it does not let us in.
        SSHConnectionError: When it cannot be reached, or the line was lost.
    """
    name, port = parse_address(address)
    endpoint = Endpoint(name, port, credentials, host, DEFAULT_CONNECT_TIMEOUT)
    return await on_island(_run, endpoint, command, stdin, question, answer)


async def _run(
    endpoint: Endpoint, command: str, stdin: str, question: str, answer: str
) -> CommandResult:
    import asyncssh

    from kutti_sdk.ssh.failures import connect_failure, lost_connection
    from kutti_sdk.ssh.login import log_in_unverified

    begun = time.monotonic()
    try:
        connection = await log_in_unverified(endpoint)
    except (asyncssh.Error, OSError) as error:
        raise connect_failure(error, endpoint) from error
    try:
        answered = str((await connection.run(question, stdin=asyncssh.DEVNULL)).stdout).strip()
        if answered != answer:
            raise HostKeyMismatchError(
                f"{endpoint.place} is another machine: it is {answered!r}, and not {answer!r}",
                hint="Look at the port forwards; nothing was sent to it.",
                host=endpoint.name,
            )
        done = await connection.run(command, input=stdin)
    except (asyncssh.Error, OSError) as error:
        raise lost_connection(endpoint, "at the first log-in") from error
    finally:
        connection.abort()  # with all that runs over it
    if done.returncode is None:
        raise lost_connection(endpoint, "at the first log-in")
    return CommandResult(
        command=command,
        stdout=str(done.stdout),
        stderr=str(done.stderr),
        exit_status=done.returncode,
        duration=time.monotonic() - begun,
        host=endpoint.name,
    )
