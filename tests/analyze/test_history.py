"""The history of a suite: points per version relative to a reference of the same job, changes, segments; made-up stores."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest

from gatebench.analyze.history import CHANGE_COLUMNS, SERIES, changes, history, series

VERDICTS = pd.DataFrame(columns=["run_id", "case_id", "quantity", "verdict", "change", "ci_low", "ci_high"])


def runs(count, **columns):
    """Return runs, a day and a commit apart; columns: values or lists that replace the usual ones."""
    days = pd.date_range("2026-01-01", periods=count, tz="UTC")
    frame = pd.DataFrame(
        {
            "run_id": [f"r{number:03d}" for number in range(count)], "created_utc": [day.isoformat() for day in days],
            "environment_class": "one", "git_sha": [f"{number:040x}" for number in range(count)], "git_dirty": False,
        }
    )  # fmt: skip
    return frame.assign(**columns)


def measured(of_runs, times, sides=("run",), seed=0, sd=0.005, blocks=3, lengths=(64,), **columns):
    """Return (measurements, samples). times(run number, implementation, side): true time in ms, None for no time.

    Blocks drift by 5 % from run to run and 2 % from block to block, all cases alike; sd is what is the cases' own.
    """
    random = np.random.default_rng(seed)
    rows, samples = [], []
    for number, run_id in enumerate(of_runs["run_id"]):
        drift = random.normal(0, 0.05) + random.normal(0, 0.02, blocks)
        for side, length in product(sides, lengths):
            for name in ("native", "eager", "numba"):
                true = times(number, name, side)
                case = f"lstm/{name}/T{length}"
                rows.append({
                    "run_id": run_id, "case_id": case, "problem_id": f"lstm/T{length}", "side": side, "harness": "worker", "gate": "lstm",
                    "family": "recurrent", "implementation": name, "implementation_options": "{}", "mode": "forward",
                    "dtype": "float32", "time_ns": None if true is None else true * 1e6, **columns,
                })  # fmt: skip
                if true is None:
                    continue
                own = random.normal(0, sd) / 2
                samples += [
                    {"run_id": run_id, "case_id": case, "side": side, "quantity": "time", "block": block, "dropped": False, "reason": None,
                     "wall_ns": 1e6 * true * math.exp(drift[block] + own + random.normal(0, sd))}
                    for block in range(blocks)
                ]  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(samples)


def flat(number, name, side):
    return {"native": 2.0, "eager": 4.0, "numba": 1.0}[name]


def line(points, name, kind="relative"):
    """Return the points of one implementation."""
    return points[points["case_id"].eq(f"lstm/{name}/T64") & points["kind"].eq(kind)]


def test_a_point_is_the_time_relative_to_the_reference_of_the_same_run():
    of_runs = runs(6)
    measurements, samples = measured(of_runs, flat, sd=0)
    points = history(of_runs, measurements, samples, VERDICTS)
    assert line(points, "numba")["value"].tolist() == pytest.approx([0.5] * 6)  # drift of runs and blocks is gone
    assert set(line(points, "numba")["reference"]) == {"native"}
    assert line(points, "eager")["value"].tolist() == pytest.approx([2.0] * 6)
    own = line(points, "native", "time")
    assert own["reference"].isna().all()
    assert own["value"].std() > 0.01 * own["value"].mean()  # its own times drift
    assert len(points) == 18


def test_the_interval_of_a_point_is_students_t_over_blocks():
    of_runs = runs(1)
    measurements, samples = measured(of_runs, flat)
    point = line(history(of_runs, measurements, samples, VERDICTS), "numba").iloc[0]
    logs = samples.assign(log=np.log(samples["wall_ns"])).pivot(index="block", columns="case_id", values="log")
    paired = logs["lstm/numba/T64"] - logs["lstm/native/T64"]
    half = 4.302653 * paired.std() / math.sqrt(3)
    assert [point["low"], point["high"]] == pytest.approx(
        [math.exp(paired.mean() - half), math.exp(paired.mean() + half)]
    )
    one = samples[samples["block"] == 0]
    alone = line(history(of_runs, measurements, one, VERDICTS), "numba").iloc[0]
    assert math.isnan(alone["low"])
    assert math.isnan(alone["standard_error"])


def test_eager_stands_in_where_native_has_no_time_and_nothing_where_neither_has():
    of_runs = runs(3)
    measurements, samples = measured(of_runs, lambda number, name, side: None if name == "native" else flat(number, name, side))  # fmt: skip
    points = history(of_runs, measurements, samples, VERDICTS)
    assert set(line(points, "numba")["reference"]) == {"eager"}
    only = measurements["implementation"] == "numba"
    alone = history(of_runs, measurements[only], samples[samples["case_id"] == "lstm/numba/T64"], VERDICTS)
    assert alone["kind"].tolist() == ["time"] * 3


def test_a_wish_for_a_reference_is_kept():
    of_runs = runs(2)
    points = history(of_runs, *measured(of_runs, flat, sd=0), VERDICTS, baseline="numba")
    assert line(points, "native")["value"].tolist() == pytest.approx([2.0] * 2)


def test_a_run_whose_reference_failed_gives_no_point_rather_than_another_reference():
    of_runs = runs(6)
    missing = {(3, "native"), (2, "eager"), (4, "eager")}
    times = lambda number, name, side: None if (number, name) in missing else flat(number, name, side)  # noqa: E731
    measurements, samples = measured(of_runs, times)
    numba = line(history(of_runs, measurements, samples, VERDICTS), "numba")
    assert numba["run_id"].tolist() == ["r000", "r001", "r002", "r004", "r005"]
    assert set(numba["reference"]) == {"native"}


def test_runs_of_one_commit_are_one_point_and_others_are_their_own():
    shas = ["a" * 40, "a" * 40, "b" * 40, "a" * 40, None, None]
    of_runs = runs(6, git_sha=shas, git_dirty=[False, False, False, True, None, None])
    points = line(history(of_runs, *measured(of_runs, flat), VERDICTS), "numba")
    assert sorted(points["runs"]) == [1, 1, 1, 1, 2]
    pooled = points[points["runs"] == 2].iloc[0]
    assert (pooled["git_sha"], pooled["run_id"]) == ("a" * 40, "r001")
    assert pooled["low"] < pooled["value"] < pooled["high"]
    plugins = line(history(of_runs.assign(plugins=list("xyxxxx")), *measured(of_runs, flat), VERDICTS), "numba")
    assert plugins["runs"].tolist() == [1] * 6


def test_a_pooled_point_is_no_more_certain_than_its_runs_agree():
    of_runs = runs(2, git_sha="a" * 40)
    measurements, samples = measured(of_runs, lambda number, name, side: flat(number, name, side) * (1.2 if (name, number) == ("numba", 1) else 1), sd=0.0001)  # fmt: skip
    (point,) = line(history(of_runs, measurements, samples, VERDICTS), "numba").itertuples()
    assert point.value == pytest.approx(0.5 * math.sqrt(1.2), rel=1e-3)
    assert point.standard_error == pytest.approx(math.log(1.2) / 2, rel=1e-2)


def test_points_stand_in_the_order_of_commits_where_it_is_known():
    of_runs = runs(4)
    backwards = of_runs.assign(commit_utc=["2025-04-01", "2025-03-01T00:00:00+02:00", "2025-02-01", None])
    points = line(history(backwards, *measured(of_runs, flat), VERDICTS), "numba")
    assert points["run_id"].tolist() == ["r002", "r001", "r000", "r003"]  # the last one by the time of its run
    assert points["position"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("place", [4, 8, 12])
def test_a_planted_step_is_found_at_its_commit(place):
    of_runs = runs(16)
    measurements, samples = measured(of_runs, lambda number, name, side: flat(number, name, side) * (1.1 if name == "numba" and number >= place else 1))  # fmt: skip
    points = history(of_runs, measurements, samples, VERDICTS)
    (found,) = changes(points).itertuples()
    assert found.case_id == "lstm/numba/T64"
    assert (found.run_id, found.before_run_id) == (f"r{place:03d}", f"r{place - 1:03d}")
    assert found.git_sha == f"{place:040x}"
    assert found.low < 0.1 < found.high
    assert found.change == pytest.approx(0.1, abs=0.01)
    table = series(points, changes(points)).set_index(["case_id", "kind"])
    assert table.loc[("lstm/numba/T64", "relative"), ["points", "changes", "outcome"]].tolist() == [16, 1, "changed"]
    assert table.loc[("lstm/eager/T64", "relative"), "outcome"] == "no change"


def test_a_new_environment_is_no_change():
    of_runs = runs(20, environment_class=["one"] * 10 + ["two"] * 10)
    measurements, samples = measured(of_runs, lambda number, name, side: flat(number, name, side) * (1.5 if name == "numba" and number >= 10 else 1))  # fmt: skip
    points = history(of_runs, measurements, samples, VERDICTS)
    assert len(changes(points)) == 0
    assert line(points, "numba").groupby("environment_class").size().to_dict() == {"one": 10, "two": 10}
    assert len(changes(history(of_runs.assign(environment_class="one"), measurements, samples, VERDICTS))) == 1


def test_a_time_of_nothing_is_no_point():
    made = runs(3)
    measurements, samples = measured(made, flat)
    nothing = (samples["run_id"] == "r001") & (samples["case_id"] == "lstm/numba/T64")
    points = history(made, measurements, samples.assign(wall_ns=samples["wall_ns"].mask(nothing, 0.0)), VERDICTS)
    assert list(line(points, "numba")["run_id"]) == ["r000", "r002"]


@pytest.mark.parametrize(("seeds", "allowed"), [(range(4), 1), pytest.param(range(4, 44), 6, marks=pytest.mark.slow)])
def test_noise_shows_no_change(seeds, allowed):
    """False changes among 50 lines of history a seed, each a made-up store of 12 runs; the level of the test is 0.1 %."""
    false = lines = 0
    of_runs = runs(12)
    for seed in seeds:
        points = history(of_runs, *measured(of_runs, flat, seed=seed, lengths=range(25)), VERDICTS)
        points = points[points["kind"] == "relative"]
        lines += points.groupby(SERIES).ngroups
        false += len(changes(points))
    assert lines == 50 * len(seeds)
    assert false <= allowed


def test_too_few_points_are_said():
    of_runs = runs(4)
    points = history(of_runs, *measured(of_runs, flat), VERDICTS)
    assert set(series(points, changes(points))["outcome"]) == {"too few points"}


def test_other_ways_of_measuring_are_other_lines():
    of_runs = runs(12)
    measurements, samples = measured(of_runs, lambda number, name, side: flat(number, name, side) * (1.3 if name == "numba" and number >= 6 else 1))  # fmt: skip
    harness = np.where(measurements["run_id"] >= "r006", "pytest", "worker")
    points = history(of_runs, measurements.assign(harness=harness), samples, VERDICTS)
    assert len(changes(points)) == 0
    assert line(points, "numba").groupby("harness").size().to_dict() == {"pytest": 6, "worker": 6}


def test_inconclusive_points_are_kept_and_not_searched():
    of_runs = runs(14)
    times = lambda number, name, side: flat(number, name, side) * (1.3 if name == "numba" and 5 <= number < 9 else 1)  # noqa: E731
    measurements, samples = measured(of_runs, times)
    busy = samples["run_id"].isin([f"r{number:03d}" for number in range(5, 9)])
    samples.loc[busy, "reason"] = "other processes: 60 % of the machine's CPU time"
    points = history(of_runs, measurements, samples, VERDICTS)
    assert line(points, "numba")["inconclusive"].sum() == 4
    assert len(changes(points)) == 0
    samples["reason"] = None
    assert len(changes(history(of_runs, measurements, samples, VERDICTS))) == 2


def ab(count, base_sha, step=None):
    """Return points of A/B runs: head is `step` slower from run 6 on, by the verdicts' own numbers where there are any."""
    of_runs = runs(count, base_sha=base_sha)
    slower = lambda number, side: 1.1 if step and side == "head" and number >= step else 1.0  # noqa: E731
    return of_runs, *measured(of_runs, lambda number, name, side: flat(number, name, side) * slower(number, side), ("base", "head"))  # fmt: skip


def test_an_ab_run_tells_head_against_its_base():
    points = history(*ab(12, "b" * 40, 6), VERDICTS)
    assert set(points["kind"]) == {"ab"}
    assert set(points["reference"]) == {"b" * 40}
    assert line(points, "numba", "ab")["value"].tolist()[-1] == pytest.approx(1.1, rel=0.02)
    assert set(changes(points)["run_id"]) == {"r006"}
    assert len(changes(points)) == 3


def test_a_verdict_is_taken_at_its_word():
    of_runs, measurements, samples = ab(1, "b" * 40)
    verdict = {"run_id": "r000", "case_id": "lstm/numba/T64", "quantity": "time", "verdict": "slower", "change": 0.03, "ci_low": 0.02, "ci_high": 0.041}  # fmt: skip
    other = {**verdict, "quantity": "compile", "change": 0.5}
    point = line(history(of_runs, measurements, samples, pd.DataFrame([other, verdict])), "numba", "ab").iloc[0]
    assert (point["verdict"], point["value"]) == ("slower", pytest.approx(1.03))
    assert [point["low"], point["high"]] == pytest.approx([1.02, 1.041], rel=1e-3)


def test_another_base_starts_a_new_segment():
    bases = ["b" * 40] * 7 + ["c" * 40] * 7
    points = history(*ab(14, bases, 7), VERDICTS)
    assert len(changes(points)) == 0  # the level moved where the base did: nothing to tell
    assert line(points, "numba", "ab")["segment"].tolist() == [1] * 7 + [2] * 7
    assert line(points, "numba", "ab")["position"].tolist() == [*range(7), *range(7)]
    assert set(series(points, changes(points))["segments"]) == {2}


def test_an_empty_history_has_its_columns():
    of_runs = runs(2)
    measurements, samples = measured(of_runs, lambda *case: None)
    samples = pd.DataFrame(columns=["run_id", "case_id", "side", "quantity", "block", "dropped", "reason", "wall_ns"])
    points = history(of_runs, measurements, samples, VERDICTS)
    assert len(points) == len(changes(points)) == len(series(points, changes(points))) == 0
    assert list(changes(points).columns) == list(CHANGE_COLUMNS)


def test_times_without_blocks_and_odd_marks_of_changed_files_are_no_points_and_no_traceback():
    of_runs = runs(3, git_dirty=["yes", None, False])
    measurements, samples = measured(of_runs, flat)
    assert history(of_runs, measurements, samples.iloc[:0], VERDICTS).empty
    points = history(of_runs, measurements, samples, VERDICTS)
    assert len(points) == 9
    assert set(points["git_dirty"]) == {None, False}
