"""Faults on order: what shall go wrong in a simulated world, where and how often.

Written so that a test reads as its own story::

    driver.faults.fail("start", host="node2", times=1)
    driver.faults.delay("create_host", seconds=5)
    driver.faults.crash("node1", after=30)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from kutti_sdk.core.errors import HypervisorError, InvalidInputError
from kutti_sdk.drivers.simulated.clock import SimulatedClock
from kutti_sdk.drivers.simulated.effects import (
    Crash,
    Delay,
    Effect,
    Failure,
    Hang,
    Operation,
    Subject,
)


class FaultPlan:
    """All that shall go wrong.

    Every method takes the names of what it is about, with ``*`` and ``?`` as
    in file names; what is left out fits everything. The same fault strikes
    `times` times, or every time when that is None.

    Args:
        clock: The clock of the world.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._orders: list[_Order] = []
        self._crashes: list[Crash] = []
        self._silent: list[Subject] = []
        self._taken_ports: dict[int, str] = {}
        self._left_behind: list[str] = []
        self._clearings = 0
        self._on_crash: Callable[[Crash], bool] = lambda _: False

    def fail(
        self,
        operation: Operation,
        *,
        error: Exception | None = None,
        host: str | None = None,
        cluster: str | None = None,
        network: str | None = None,
        image: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let an operation fail before it does anything.

        Args:
            operation: Name of the method, such as ``start`` or ``create_host``.
            error: What it raises; a `HypervisorError` by default.
            host: Name of the host.
            cluster: Name of the cluster.
            network: Name of the network.
            image: Kubernetes version of the image.
            times: How often; None for every time.

        Raises:
            InvalidInputError: When there is no such operation.
        """
        subject = Subject(host=host, cluster=cluster, network=network, image=image)
        self._order(operation, subject, Failure(error), times)

    def delay(
        self,
        operation: Operation,
        *,
        seconds: float,
        host: str | None = None,
        cluster: str | None = None,
        network: str | None = None,
        image: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let an operation take longer.

        Args:
            operation: Name of the method.
            seconds: Simulated seconds before it begins.
            host: Name of the host.
            cluster: Name of the cluster.
            network: Name of the network.
            image: Kubernetes version of the image.
            times: How often; None for every time.

        Raises:
            InvalidInputError: When there is no such operation.
        """
        subject = Subject(host=host, cluster=cluster, network=network, image=image)
        self._order(operation, subject, Delay(seconds), times)

    def hang(
        self,
        operation: Operation,
        *,
        host: str | None = None,
        cluster: str | None = None,
        network: str | None = None,
        image: str | None = None,
        times: int | None = None,
    ) -> None:
        """Let an operation hang until it times out, is cancelled, or the plan is cleared.

        Args:
            operation: Name of the method; a hanging ``stop`` runs into its time-out.
            host: Name of the host.
            cluster: Name of the cluster.
            network: Name of the network.
            image: Kubernetes version of the image.
            times: How often; None for every time.

        Raises:
            InvalidInputError: When there is no such operation.
        """
        subject = Subject(host=host, cluster=cluster, network=network, image=image)
        self._order(operation, subject, Hang(), times)

    def crash(self, host: str, *, after: float = 0.0, cluster: str | None = None) -> None:
        """Let a host die by itself, once.

        Args:
            host: Name of the host.
            after: Simulated seconds from now, or, when it does not run, from its next start.
            cluster: Name of its cluster.
        """
        crash = Crash(Subject(host=host, cluster=cluster), after)
        with self._clock.lock:
            if not self._on_crash(crash):
                self._crashes.append(crash)

    def silence_ssh(self, host: str, *, cluster: str | None = None) -> None:
        """Let a host run without its SSH server ever answering.

        Args:
            host: Name of the host.
            cluster: Name of its cluster.
        """
        self._silent.append(Subject(host=host, cluster=cluster))

    def occupy_port(self, port: int, *, by: str = "a foreign program") -> None:
        """Let a program that is none of ours listen on a port of this machine.

        Args:
            port: The port.
            by: What errors should call the program.
        """
        self._taken_ports[port] = by

    def leave_behind(self, what: str) -> None:
        """Let something be there that nobody owns, as after a `kill -9`, until it is mended.

        Args:
            what: What the findings of `diagnose` should call it: ``a process without a host``.
        """
        self._left_behind.append(what)

    def clear(self) -> None:
        """Let everything go well from now on; what hangs goes on."""
        with self._clock.lock:
            self._orders.clear()
            self._crashes.clear()
            self._silent.clear()
            self._taken_ports.clear()
            self._left_behind.clear()
            self._clearings += 1
            self._clock.changed()

    async def strike(
        self, operation: Operation, subject: Subject, *, timeout: float | None = None
    ) -> bool:
        """Do to an operation what is planned for it; drivers call this when one begins.

        Args:
            operation: Name of the method.
            subject: What it is about.
            timeout: Simulated seconds that it may hang; None for any time.

        Returns:
            False when it hung for all of that time, else True.

        Raises:
            Exception: The one that was ordered with `fail`.
        """
        for effect in self._take(operation, subject):
            match effect:
                case Delay(seconds):
                    await self._clock.sleep(seconds)
                case Hang():
                    if not await self._hang(timeout):
                        return False
                case Failure(error):
                    raise (error or _fault_in(operation, subject)).with_traceback(None)
        return True

    def take_crashes(self, subject: Subject) -> list[Crash]:
        """Hand over the crashes that wait for a host's next start.

        Args:
            subject: The host that starts.

        Returns:
            The crashes, which are not in the plan any more.
        """
        with self._clock.lock:
            mine = [crash for crash in self._crashes if crash.subject.means(subject)]
            self._crashes = [crash for crash in self._crashes if crash not in mine]
            return mine

    def ssh_is_silent(self, subject: Subject) -> bool:
        """Tell whether a host's SSH server shall not answer.

        Args:
            subject: The host.

        Returns:
            True when `silence_ssh` was called for it.
        """
        return any(silent.means(subject) for silent in self._silent)

    def port_owner(self, port: int) -> str | None:
        """Tell which foreign program listens on a port of this machine.

        Args:
            port: The port.

        Returns:
            What `occupy_port` named, or None.
        """
        return self._taken_ports.get(port)

    def left_behind(self) -> tuple[str, ...]:
        """Tell what is there that nobody owns.

        Returns:
            What `leave_behind` named.
        """
        return tuple(self._left_behind)

    def take_away(self, what: str) -> None:
        """Remove what nobody owns.

        Args:
            what: What it is; nothing happens when it is gone.
        """
        if what in self._left_behind:
            self._left_behind.remove(what)

    def on_crash(self, listener: Callable[[Crash], bool]) -> None:
        """Name the world that crashes are for.

        Args:
            listener: Called with each crash as it is ordered; returns True when the host
                runs, so that the crash need not wait for a start.
        """
        self._on_crash = listener

    async def _hang(self, timeout: float | None) -> bool:
        seen = self._clearings
        cleared = await self._clock.wait_for(lambda: self._clearings > seen or None, timeout)
        return cleared is not None

    def _order(
        self, operation: Operation, subject: Subject, effect: Effect, times: int | None
    ) -> None:
        if operation not in get_args(Operation):
            raise InvalidInputError(
                f"no operation is called {operation!r}",
                hint=f"Use one of {', '.join(get_args(Operation))}.",
            )
        self._orders.append(_Order(operation, subject, effect, times))

    def _take(self, operation: Operation, subject: Subject) -> list[Effect]:
        with self._clock.lock:
            struck = [
                order
                for order in self._orders
                if order.operation == operation and order.subject.means(subject)
            ]
            for order in struck:
                order.left = None if order.left is None else order.left - 1
            self._orders = [order for order in self._orders if order.left != 0]
        return [order.effect for order in struck]


def _fault_in(operation: Operation, subject: Subject) -> HypervisorError:
    return HypervisorError(
        f"simulated fault in {operation}",
        network=subject.network,
        cluster=subject.cluster,
        host=subject.host,
        image=subject.image,
    )


@dataclass(eq=False, slots=True)
class _Order:
    operation: Operation
    subject: Subject
    effect: Effect
    left: int | None
