"""The clock of a simulated world: its seconds are not those of the wall.

Whoever waits lets time pass; there is no thread and no task behind it. That
makes a world usable from any number of event loops, one after the other or at
once, under asyncio and trio.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import RLock
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from kutti_sdk.core.errors import InvalidInputError
from kutti_sdk.runtime.island import waker
from kutti_sdk.runtime.tasks import BEAT

T = TypeVar("T")

_QUIET_PASSES = 6  # of the event loop, in which nobody did anything: all wait
_QUIET_SECONDS = 0.05  # real ones; before a time-out runs out for want of anything else


class SimulatedClock:
    """Counts simulated seconds, at a speed of your choice.

    At the default speed a duration takes no real time: as soon as everybody
    waits, the clock jumps to the next thing that is due. A time-out is not
    worth hurrying for as long as anything else is due, and waits 50 real
    milliseconds for other parts of the program before it runs out. Time
    passes only while somebody waits for the driver: a program that polls
    `VMHost.status` and sleeps by itself wants a finite speed.

    Args:
        speed: Simulated seconds in a real one: ``math.inf`` to jump, ``1`` for real
            time, ``60`` to show an hour in a minute, ``0`` for a clock that stands
            still until `advance` is called.

    Raises:
        InvalidInputError: When the speed is negative or no number.
    """

    def __init__(self, speed: float = math.inf) -> None:
        if not speed >= 0:
            raise InvalidInputError(
                f"a clock cannot run at speed {speed!r}",
                hint="Use 0 or a positive number; math.inf jumps.",
            )
        self.speed = speed
        self.lock = RLock()
        """Guards the whole simulated world; never held across an await."""
        self._time = 0.0
        self._anchor = time.monotonic()
        self._numbers = count()
        self._timers: list[_Timer] = []
        self._waiters: set[_Waiter[Any]] = set()
        self._activity = 0

    def now(self) -> float:
        """Read the clock.

        Returns:
            Simulated seconds since the clock was made.
        """
        if self.speed in (0, math.inf):
            return self._time
        with self.lock:
            return self._time + (time.monotonic() - self._anchor) * self.speed

    def tick(self) -> None:
        """Do what is due by now; a clock at a finite speed has nobody to do it else."""
        with self.lock:
            self._move(self.now())

    def changed(self) -> None:
        """Let everybody who waits look whether this is what they wait for."""
        with self.lock:
            self._activity += 1
            for waiter in tuple(self._waiters):
                waiter.look()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Do something when time has passed.

        Args:
            seconds: Simulated seconds from now.
            action: What to do; called in whichever thread lets the time pass.

        Returns:
            A function that calls it off.
        """
        with self.lock:
            self._activity += 1
            timer = _Timer(self.now() + max(0.0, seconds), next(self._numbers), action)
            heapq.heappush(self._timers, timer)
            for waiter in self._waiters:  # who waited for nothing but news has time to pass now
                waiter.wake()

        def call_off() -> None:
            with self.lock:
                if timer in self._timers:
                    self._timers.remove(timer)
                    heapq.heapify(self._timers)

        return call_off

    async def sleep(
        self, seconds: float, *, unless: Callable[[], T | None] = lambda: None
    ) -> T | None:
        """Let time pass.

        Args:
            seconds: Simulated seconds.
            unless: Asked at every change; when it returns something, the sleep is over.

        Returns:
            What `unless` returned, or None after the whole time.
        """
        # What somebody works at makes the clock hurry, other than a mere time-out.
        call_off = self.call_later(seconds, _do_nothing)
        try:
            return await self.wait_for(unless, seconds)
        finally:
            call_off()

    async def wait_for(
        self, condition: Callable[[], T | None], timeout: float | None = None
    ) -> T | None:
        """Wait until something is the case.

        Args:
            condition: Asked at every change, so that a short-lived state is not missed.
            timeout: Simulated seconds; None for as long as it takes.

        Returns:
            What the condition returned, or None when the time ran out.
        """
        waiter = _Waiter(condition, math.inf if timeout is None else self.now() + timeout)
        with self.lock:
            self._waiters.add(waiter)
            self._activity += 1
            waiter.look()
        try:
            await checkpoint()
            while not waiter.over:
                await self._let_time_pass(waiter)
        finally:
            with self.lock:
                self._waiters.discard(waiter)
                self._activity += 1
        return waiter.result

    async def advance(self, seconds: float) -> None:
        """Move the clock by hand, and let everybody do what they do in that time.

        Args:
            seconds: Simulated seconds.
        """
        target = self.now() + seconds
        await _let_others_run()
        while (due := self._next_due()) <= target:
            self._move(due)
            await _let_others_run()
        self._move(target)
        await _let_others_run()

    async def _let_time_pass(self, waiter: _Waiter[Any]) -> None:
        event = anyio.Event()
        waiter.wake = waker(event)
        seen = self._activity
        due = self._next_due()
        if self.speed == math.inf and self._timers:
            await _let_others_run()
        elif not waiter.over:  # asked after there was somebody to wake
            with anyio.move_on_after(self._pause_before(due)):
                await event.wait()
        with self.lock:
            if self.speed != math.inf:
                self._move(self.now())
            elif seen == self._activity and due < math.inf:
                self._move(due)

    def _pause_before(self, due: float) -> float:
        if self.speed == 0 or due == math.inf:
            return BEAT
        if self.speed == math.inf:
            return _QUIET_SECONDS
        return min(BEAT, max(0.0, due - self.now()) / self.speed)

    def _next_due(self) -> float:
        with self.lock:
            deadlines = [waiter.deadline for waiter in self._waiters if not waiter.over]
            return min([timer.due for timer in self._timers[:1]] + deadlines, default=math.inf)

    def _move(self, to: float) -> None:
        with self.lock:
            to = max(to, self.now())
            while self._timers and self._timers[0].due <= to:
                timer = heapq.heappop(self._timers)
                self._set(timer.due)  # what was late still sees the time it was due
                self._activity += 1
                timer.action()
            self._set(to)
            for waiter in tuple(self._waiters):
                if waiter.deadline <= to and not waiter.over:
                    self._activity += 1
                    waiter.end()

    def _set(self, to: float) -> None:
        self._time = to
        self._anchor = time.monotonic()


@dataclass(order=True, slots=True)
class _Timer:
    due: float
    number: int
    action: Callable[[], None] = field(compare=False)


class _Waiter(Generic[T]):
    def __init__(self, condition: Callable[[], T | None], deadline: float) -> None:
        self.deadline = deadline
        self.over = False
        self.result: T | None = None
        self.wake: Callable[[], None] = _do_nothing
        self._condition = condition

    def look(self) -> None:
        if not self.over:
            self.result = self._condition()
            if self.result is not None:
                self.end()

    def end(self) -> None:
        self.over = True
        self.wake()


async def _let_others_run() -> None:
    for _ in range(_QUIET_PASSES):
        await checkpoint()


def _do_nothing() -> None:
    pass
