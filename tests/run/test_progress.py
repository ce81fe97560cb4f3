"""Progress without a terminal: lines with the share done and the time left by the latest pace."""

import re

from gatebench.run.progress import Lines


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
    return int(re.search(r"about (\d+) s left", line).group(1))


def test_a_line_every_fifteen_seconds_with_share_and_time_left(capsys):
    found = lines(capsys, [1.0] * 100)
    assert found[0] == "  0 %: measuring"  # no pace is known yet
    assert found[1] == " 15 %, about 85 s left: measuring"
    assert len(found) == 7


def test_a_slow_beginning_is_forgotten(capsys):
    found = lines(capsys, [20.0] * 10 + [1.0] * 90)
    assert left(found[9]) > 1500
    assert left(found[-1]) < 30


def test_more_work_than_planned_is_never_over_a_hundred_percent(capsys):
    found = lines(capsys, [1.0] * 150)
    assert found[-1] == "100 %, about 0 s left: measuring"
