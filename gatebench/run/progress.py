"""Progress on stderr: a bar with time left on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_LINE_EVERY_S = 15.0  # without a terminal
_PACE_OVER_S = 60.0  # over how long the pace is taken
_PACE_FROM_S = 5.0  # shorter times say nothing
_PACE_FACTOR = 3.0


class Progress(Protocol):
    """What the runner tells about its work; units are seconds that the plan expects."""

    def start(self, total: float) -> None:
        """Begin with `total` units ahead; a second time for work that turned up meanwhile."""

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


class TimeLeft:
    """Estimates the time left: what the plan expects of the rest, at the pace of the last minute.

    The pace is held within a factor of 3 of the plan's: cold compiles at the beginning say nothing about the rest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total, self.done = 1.0, 0.0
        self._marks: deque[tuple[float, float]] = deque()  # (time, done) of the last minute

    def mark(self) -> None:
        """Note how much is done at this moment."""
        now = self._clock()
        while self._marks and now - self._marks[0][0] > _PACE_OVER_S:
            self._marks.popleft()
        self._marks.append((now, self.done))

    @property
    def share(self) -> float:
        """Share that is done, 0 to 1."""
        return min(self.done / self.total, 1.0)

    def text(self) -> str:
        """Return `about 95 s left`."""
        pace = 1.0
        if self._marks:
            started, done = self._marks[0]
            elapsed = self._clock() - started
            if elapsed > _PACE_FROM_S:
                pace = min(max(elapsed / max(self.done - done, 1e-9), 1 / _PACE_FACTOR), _PACE_FACTOR)
        left = max(0.0, self.total - self.done) * pace
        if left < 120:
            return f"about {left:.0f} s left"
        return f"about {left / 60:.0f} min left" if left < 7200 else f"about {left / 3600:,.0f} h left"


class Bar:
    """A rich bar with what is being done, share done, time used and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._left = TimeLeft()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            refresh_per_second=2,  # drawing costs CPU time that the workers could use
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, left="")

    def start(self, total: float) -> None:
        self._left = TimeLeft()
        self._left.total = max(total, 1e-9)
        self._progress.reset(self._task, total=self._left.total)
        self._progress.start()

    def say(self, text: str) -> None:
        self._left.mark()
        self._progress.update(self._task, description=text[:60], left=self._left.text())

    def advance(self, units: float) -> None:
        self._left.done += units
        self._progress.advance(self._task, units)

    def stop(self) -> None:
        self._progress.stop()


class Lines:
    """One line every 15 s: what is done, share done, time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = TimeLeft(clock)
        self._printed = clock()

    def start(self, total: float) -> None:
        self._left = TimeLeft(self._clock)
        self._left.total = max(total, 1e-9)
        self._printed = self._clock() - _LINE_EVERY_S

    def say(self, text: str) -> None:
        self._left.mark()
        now = self._clock()
        if now - self._printed >= _LINE_EVERY_S:
            self._printed = now
            print(f"{100 * self._left.share:3.0f} %, {self._left.text()}: {text}", file=sys.stderr, flush=True)

    def advance(self, units: float) -> None:
        self._left.done += units

    def stop(self) -> None: ...


@contextmanager
def notice_when_slow(text: str, after_s: float = 10.0) -> Iterator[None]:
    """Print `text` on stderr where the body takes longer than this."""
    timer = threading.Timer(after_s, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def for_terminal() -> Progress:
    """Return a bar where stderr is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()
