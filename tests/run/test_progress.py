"""Progress without a terminal: lines with the share done and the time left by the latest pace."""

import re
import time

import pytest

from gatebench.run.progress import Lines, notice_when_slow


def lines(capsys, seconds_per_unit):
    """Work through 100 units, this many seconds each, and return what is printed."""
    now = [0.0]
    progress = Lines(lambda: now[0])
    progress.start(100.0)
    for seconds in seconds_per_unit:
        progress.say("measuring")
        now[0] += seconds
        progress.advance(1.0)
    return capsys.readouterr().err.splitlines()


def left(line):
    """Return the seconds left that a line tells."""
    number, unit = re.search(r"about (\d+) (s|min) left", line).groups()
    return int(number) * (60 if unit == "min" else 1)


def test_a_line_every_fifteen_seconds_with_share_and_time_left(capsys):
    found = lines(capsys, [1.0] * 100)
    assert found[0] == "  0 %, about 100 s left: measuring"  # what the plan expects
    assert found[1] == " 15 %, about 85 s left: measuring"
    assert len(found) == 7


def test_twice_as_slow_as_planned_is_seen_and_later_forgotten(capsys):
    found = lines(capsys, [2.0] * 30 + [1.0] * 70)
    assert left(found[2]) == pytest.approx(2 * 84, abs=20)
    assert left(found[-1]) < 30


def test_a_cold_compile_frightens_nobody(capsys):
    found = lines(capsys, [30.0] * 5 + [1.0] * 95)
    assert max(map(left, found)) <= 300


def test_more_work_than_planned_is_never_over_a_hundred_percent(capsys):
    found = lines(capsys, [1.0] * 150)
    assert found[-1] == "100 %, about 0 s left: measuring"


def test_what_takes_long_says_so_and_what_does_not_is_silent(capsys):
    with notice_when_slow("at once", after_s=30.0):
        pass
    with notice_when_slow("still importing", after_s=0.05):
        until = time.monotonic() + 10
        while not (said := capsys.readouterr().err) and time.monotonic() < until:
            time.sleep(0.01)
    assert said == "still importing\n"
