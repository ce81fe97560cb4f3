"""Progress on stderr: a bar with time left on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Protocol

_LINE_EVERY_S = 15.0  # without a terminal


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
    """One line every 15 s: what is done, share done, time left by the pace so far."""

    def __init__(self) -> None:
        self._total, self._done = 1.0, 0.0
        self._started = self._printed = time.monotonic()

    def start(self, total: float) -> None:
        self._total = total
        self._started = time.monotonic()
        self._printed = self._started - _LINE_EVERY_S

    def say(self, text: str) -> None:
        now = time.monotonic()
        if now - self._printed < _LINE_EVERY_S:
            return
        self._printed = now
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        left = f", {(now - self._started) * (1 - share) / share:.0f} s left" if share > 0.02 else ""
        print(f"{100 * share:3.0f} %{left}: {text}", file=sys.stderr, flush=True)

    def advance(self, units: float) -> None:
        self._done += units

    def stop(self) -> None: ...


def for_terminal() -> Progress:
    """Return a bar where stderr is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()
