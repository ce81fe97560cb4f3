"""Progress on stderr: a bar with time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

_LINE_EVERY_S = 15.0  # without a terminal
_PACE_OVER_S = 60.0  # the cold compiles at the beginning say nothing about the rest


class Progress(Protocol):
    """What the runner tells about its work; units are seconds that the plan expects."""

    def start(self, total: float) -> None:
        """Begin with `total` units ahead."""

    def say(self, text: str) -> None:
        """Name what is being done."""

    def advance(self, units: float) -> None:
        """Count units as done."""

    def stop(self) -> None:
        """End."""


class Silent:
    """Progress that nobody sees, for tests and library use."""

    def start(self, total: float) -> None: ...
    def say(self, text: str) -> None: ...
    def advance(self, units: float) -> None: ...
    def stop(self) -> None: ...


class Bar:
    """A rich bar with what is being done, share done, time used and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=2,  # drawing costs CPU time that the workers could use
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)

    def start(self, total: float) -> None:
        self._progress.update(self._task, total=total)
        self._progress.start()

    def say(self, text: str) -> None:
        self._progress.update(self._task, description=text[:60])

    def advance(self, units: float) -> None:
        self._progress.advance(self._task, units)

    def stop(self) -> None:
        self._progress.stop()


class Lines:
    """One line every 15 s: what is done, share done, time left by the pace of the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total, self._done = 1.0, 0.0
        self._printed = clock()
        self._marks: deque[tuple[float, float]] = deque()  # (time, done) of the last minute's lines

    def start(self, total: float) -> None:
        self._total = max(total, 1e-9)
        self._printed = self._clock() - _LINE_EVERY_S

    def say(self, text: str) -> None:
        now = self._clock()
        if now - self._printed < _LINE_EVERY_S:
            return
        self._printed = now
        while self._marks and now - self._marks[0][0] > _PACE_OVER_S:
            self._marks.popleft()
        self._marks.append((now, self._done))
        share = min(self._done / self._total, 1.0)
        print(f"{100 * share:3.0f} %{self._left(now)}: {text}", file=sys.stderr, flush=True)

    def _left(self, now: float) -> str:
        started, done = self._marks[0]
        if self._done <= done:
            return ""
        pace = (now - started) / (self._done - done)
        return f", about {max(0.0, self._total - self._done) * pace:.0f} s left"

    def advance(self, units: float) -> None:
        self._done += units

    def stop(self) -> None: ...


def for_terminal() -> Progress:
    """Return a bar where stderr is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()
