"""A crash or a full disk while writing: half a run is never seen, and a refused write says what to do next."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_helpers import frames, one_problem, run_id, write

from gatebench.errors import StoreError
from gatebench.store import write as writing
from gatebench.store.read import load


class Crash(Exception):
    """Stands for the end of the process at a system call."""


STEPS = ("mkdir", "rename", "replace", "open", "fsync", "write_table")


def crash_at(monkeypatch, number, error):
    """Let call number `number` to the file system raise; returns the list of calls so far."""
    calls = []

    def crashing(name, real):
        def call(*arguments, **named):
            calls.append(name)
            if len(calls) == number:
                raise error
            return real(*arguments, **named)

        return call

    for name in ("mkdir", "rename", "replace", "open"):
        monkeypatch.setattr(Path, name, crashing(name, getattr(Path, name)))
    monkeypatch.setattr(writing.os, "fsync", crashing("fsync", os.fsync))
    monkeypatch.setattr(writing.pq, "write_table", crashing("write_table", pq.write_table))
    return calls


def number_of_steps(folder):
    write(folder, 2)
    with pytest.MonkeyPatch.context() as patch:
        calls = crash_at(patch, 0, Crash())
        write(folder)
    assert set(calls) == set(STEPS)
    return len(calls)


@pytest.mark.parametrize("error", [Crash(), OSError(28, "No space left on device"), OSError(30, "Read-only file system")])  # fmt: skip
def test_a_crash_at_any_step_never_shows_half_a_run(tmp_path, error):
    steps = number_of_steps(tmp_path / "whole")
    assert steps > 15
    seen = []
    for number in range(1, steps + 1):
        store = tmp_path / str(number)
        write(store, 2)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number, error)
            with pytest.raises(Crash if isinstance(error, Crash) else StoreError):
                write(store)
        results = load(store)
        rows = frames(results)
        assert results.problems == []
        seen.append(run_id(1) in set(results.runs["run_id"]))
        assert len(results.runs) == 1 + seen[-1]
        assert {len(frame) for frame in rows.values()} == {2 * (1 + seen[-1])}
        if not seen[-1]:
            write(store)  # and writing once more succeeds
            assert len(load(store).runs) == 2
    assert seen == sorted(seen)  # nothing up to the rename, then everything
    assert sum(seen) == 1  # only the last fsync comes after it


def test_a_crash_that_leaves_half_a_folder_would_be_seen(tmp_path):
    folder = write(tmp_path)
    write(tmp_path, 2)
    (folder / "samples.parquet").unlink()
    one_problem(tmp_path, "samples.parquet")


def test_a_refused_write_names_the_store_and_the_next_step(tmp_path, monkeypatch):
    crash_at(monkeypatch, 1, OSError(28, "No space left on device"))
    with pytest.raises(StoreError) as caught:
        write(tmp_path / "results")
    assert str(caught.value) == (
        "store results/: cannot write: No space left on device; a folder that can be written, on a disk with free space, "
        f"is accepted; what was measured is kept: make room, then `gatebench run --resume {run_id(1)}`"
    )
