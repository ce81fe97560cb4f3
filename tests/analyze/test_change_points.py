"""Steps in series of log times: none in noise of many kinds, planted ones at their place, both methods needed."""

import math

import numpy as np
import pytest

from gatebench.analyze import change_points
from gatebench.analyze.change_points import LEAST_POINTS, find_steps

SD = 0.01
SERIES = 1000


def noise(kind, random, points, sd=SD):
    """Return (log times, standard errors) of one level; errors are those of three blocks, so uncertain themselves."""
    errors = 0.5 * sd * np.sqrt(random.chisquare(2, points) / 2)
    values = random.normal(0, sd, points)
    if kind == "heavy tails":
        values = sd * random.standard_t(3, points) / math.sqrt(3)
    elif kind == "good and bad jobs":
        spread = np.where(random.random(points) < 0.3, 3 * sd, sd / 2)
        values, errors = random.normal(0, spread), spread * np.sqrt(random.chisquare(2, points) / 2)
    elif kind == "a slow mode":
        values += 5 * sd * (random.random(points) < 0.1)
    elif kind == "slow drift":
        for place in range(1, points):
            values[place] = 0.5 * values[place - 1] + 0.87 * values[place]
    return values, errors


# Share of series of pure noise in which a change is seen: measured over 1,000 series of each length, and what is allowed.
@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("normal", 0.003),
        ("heavy tails", 0.02),
        ("good and bad jobs", 0.02),
        ("a slow mode", 0.02),
        ("slow drift", 0.025),
    ],
)
@pytest.mark.parametrize("points", [5, 8, 20, 50])
def test_noise_shows_no_change(kind, points, allowed):
    random = np.random.default_rng(points)
    false = sum(bool(find_steps(*noise(kind, random, points))) for _ in range(SERIES))
    assert false / SERIES <= allowed


@pytest.mark.parametrize(("points", "place"), [(8, 4), (12, 6), (12, 9), (20, 3), (20, 17), (50, 25)])
@pytest.mark.parametrize("size", [0.1, -0.1])
def test_a_step_of_a_tenth_is_found_where_it_is(points, place, size):
    random = np.random.default_rng(11)
    found = 0
    for _ in range(100):
        values, errors = noise("normal", random, points)
        values[place:] += size
        steps = find_steps(values, errors)
        found += [step.place for step in steps] == [place]
    assert found >= (80 if points == 8 else 97)


def test_the_interval_of_a_step_covers_its_size():
    random = np.random.default_rng(5)
    covered = []
    for _ in range(600):
        values, errors = noise("normal", random, 16)
        values[8:] += 0.1
        covered += [step.low <= 0.1 <= step.high for step in find_steps(values, errors)]
    assert len(covered) >= 595
    assert 0.93 <= np.mean(covered) <= 0.98


def test_up_and_down_again_are_two_steps():
    random = np.random.default_rng(3)
    values, errors = noise("normal", random, 24)
    values[8:16] += 0.06
    up, down = find_steps(values, errors)
    assert (up.place, down.place) == (8, 16)
    assert up.low > 0 > down.high


def test_one_odd_job_is_no_change():
    for place in (0, 5, 9, 11):
        values, errors = noise("normal", np.random.default_rng(place), 12)
        values[place] += 0.5
        assert find_steps(values, errors) == []


def test_a_change_is_told_from_its_second_point_on():
    values, errors = noise("normal", np.random.default_rng(2), 20)
    values[18:] += 0.1
    assert [step.place for step in find_steps(values, errors)] == [18]
    assert find_steps(values[:19], errors[:19]) == []


@pytest.mark.parametrize("points", range(LEAST_POINTS))
def test_fewer_than_five_points_tell_nothing(points):
    assert find_steps(np.arange(points, dtype=float), np.full(points, SD)) == []


def test_values_that_repeat_exactly_have_no_step_unless_there_is_one():
    assert find_steps(np.zeros(9), np.zeros(9)) == []
    (step,) = find_steps(np.repeat([0.0, 0.02], [4, 5]), np.full(9, np.nan))
    assert (step.place, step.size) == (4, pytest.approx(0.02))


def test_points_with_wide_intervals_count_for_less():
    values = np.array([0.0, 0.01, -0.01, 0.0, 0.01, -0.01, 0.0, 0.01, 0.06, 0.08, 0.05, 0.07])
    sure, unsure = np.full(12, 0.002), np.repeat([0.002, 0.08], [8, 4])
    assert [step.place for step in find_steps(values, sure)] == [8]
    assert find_steps(values, unsure) == []


@pytest.mark.parametrize(("off", "found"), [(0, 1), (1, 1), (-1, 1), (2, 0), (-2, 0)])
def test_both_methods_must_agree_within_one_point(monkeypatch, off, found):
    values, errors = noise("normal", np.random.default_rng(8), 60)  # so many that the fit is sure of its own place
    values[30:] += 0.1
    monkeypatch.setattr(change_points, "_pelt", lambda values, noise: [30 + off])
    assert [step.place for step in find_steps(values, errors)] == [30] * found


def test_either_method_alone_finds_nothing(monkeypatch):
    values, errors = noise("normal", np.random.default_rng(8), 20)
    monkeypatch.setattr(change_points, "_pelt", lambda values, noise: [7, 12])
    assert find_steps(values, errors) == []
    values[10:] += 0.1
    monkeypatch.setattr(change_points, "_pelt", lambda values, noise: [])
    assert find_steps(values, errors) == []
