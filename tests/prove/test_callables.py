"""The twenty callables do as much more work as they say, and nothing is imported before it is needed."""

import subprocess
import sys

import numpy as np
import pytest
from place import PLANTED, SLOWED, TEMPLATE, planted_suite
from speed import work
from speed.work import ALL, KINDS, MOST, NAMES, call_of

from gatebench.suites import read_suite


@pytest.mark.parametrize(("extra", "units"), [(0.0, 100), (0.01, 101), (0.03, 103), (0.10, 110)])
def test_a_slow_down_is_so_many_more_units(monkeypatch, extra, units):
    done = []
    monkeypatch.setattr(work, "_unit", lambda name: done.append)
    call_of("plain_ints", extra)()
    assert done == list(range(units))
    assert units <= MOST


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("compiled")])
def test_every_callable_runs_at_the_largest_slow_down(name):
    call_of(name, 0.10)()


def test_there_are_four_of_each_kind():
    assert len(ALL) == 20
    assert {kind: len(NAMES[kind]) for kind in KINDS} == dict.fromkeys(NAMES, 4)


def test_python_callables_load_no_library():
    code = "import sys; from speed.work import call_of; call_of('plain_ints')(); print('torch' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TEMPLATE, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_suite_has_every_callable_at_its_slow_downs(tmp_path, name):
    text = (TEMPLATE / "suites" / "all.toml").read_text()
    (tmp_path / "planted.toml").write_text(planted_suite(text, name, PLANTED[name]))
    suite = read_suite(tmp_path / "planted.toml")
    assert suite.name == name
    named = [name for group in suite.cases for name in group["options"]["work"]]
    assert tuple(named) == ALL
    assert all(tuple(group["options"]["planted"]) == PLANTED[name] for group in suite.cases)


def test_a_commit_slows_down_what_it_names(monkeypatch):
    done = []
    monkeypatch.setattr(work, "_unit", lambda name: done.append)
    monkeypatch.setattr(work, "EXTRA", dict.fromkeys(SLOWED, 0.03))
    call_of("plain_ints")()
    assert len(done) == 103
    call_of("plain_strings")()
    assert len(done) == 203


def test_half_of_each_kind_is_slowed_down():
    assert len(SLOWED) == 10
    assert {name.split("_")[0] for name in SLOWED} == set(KINDS)
    assert set(SLOWED) < set(ALL)


def test_no_line_is_gathered_twice_in_a_call(monkeypatch):
    from speed import memory

    places = []
    monkeypatch.setattr(memory, "_gather", lambda table, unit: places.append(unit))
    call_of("memory_gather", max(PLANTED["planted-more"]))()
    lines = np.concatenate(places) // 16
    assert len(np.unique(lines)) == len(lines) == MOST * 6144
