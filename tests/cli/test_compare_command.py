"""`gatebench compare` of one run and of two: options that go with one of them only, and what is printed."""

import json

import pytest
from cli_helpers import one_line


@pytest.fixture
def two(tmp_path):
    """A store with two runs of one machine."""
    from tests.synthetic import Plan, write_store

    store = tmp_path / "elsewhere"
    ids = write_store(
        store, Plan(runs=2, gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), stability=False, failures=False)
    )
    return store, *ids


def test_two_runs_are_compared_case_by_case(gb, two):
    store, old, new = two
    answer = gb("compare", old, new, "--store", store, "-i", "numba")
    assert answer.code == 0
    assert "change of time from A to B" in answer.out
    assert f"A: run {old}" in answer.out
    found = json.loads(gb("compare", old, "latest", "--store", store, "--json").out)
    assert (found["before"]["run_id"], found["after"]["run_id"]) == (old, new)


def test_means_by_gate_of_one_run(gb, two):
    store, *_ = two
    answer = gb("compare", "latest", "--store", store, "--by", "gate,mode", "--baseline", "eager")
    assert answer.code == 0
    assert answer.out.startswith("Geometric means of speed-ups")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--baseline", "native"), "--baseline: given with two runs; it goes with one; leave it out"),
        (("--metrics", "time"), "--metrics: given with two runs; it goes with one; leave it out"),
        (("--by", "shape"), "--by: unknown column 'shape'"),
    ],
)
def test_options_of_one_run_are_refused_with_two(gb, two, more, line):
    store, old, new = two
    one_line(gb("compare", old, new, "--store", store, *more), line)


def test_across_machines_needs_a_second_run(gb, two):
    store, old, _ = two
    one_line(
        gb("compare", old, "--store", store, "--across-machines"),
        "--across-machines: given with one run; it goes with two",
    )
    one_line(gb("compare", old, "nosuch", "--store", store), "no run 'nosuch'")
