"""The index of a store: the same rows as the run folders, read once; whatever happens to it or to the store meanwhile."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gatebench.analyze.blocks import blocks_of
from gatebench.errors import StoreError
from gatebench.query import index as indexing
from gatebench.query import parts
from gatebench.query.content import KEY, STORED
from gatebench.query.index import discard_index, is_indexed, update_index
from gatebench.query.questions import IndexGone, Questions
from gatebench.report.run_facts import place
from gatebench.store.read import load
from tests.synthetic import Plan, write_store

TINY = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), implementations=("eager", "native"), failures=False)
ROOT = Path(__file__).resolve().parents[2]


def tiny(store, runs, seed=0):
    """Write so many small runs and return their ids, oldest first."""
    return write_store(store, Plan(**{**vars(TINY), "runs": runs, "seed": seed}))


@pytest.fixture
def store(tmp_path):
    """A store of three small runs."""
    tiny(tmp_path / "results", 3)
    return tmp_path / "results"


@pytest.fixture
def read(monkeypatch):
    """The names of run folders that are read, as they are."""
    names = []
    reader = indexing.read_folder
    monkeypatch.setattr(
        indexing, "read_folder", lambda store, name, seen: names.append(name) or reader(store, name, seen)
    )
    return names


def rows(index, table):
    """Return a table's rows in the order of a store that is read as a whole."""
    return Questions(index).frame(f"SELECT * FROM {table}")


def holds_what_the_folders_do(store):
    """Check that the index answers as run folders do that are read one by one."""
    index, results = update_index(store), load(store)
    for table in STORED:
        wanted = getattr(results, table)
        found = rows(index, table)
        order = list(wanted.columns[:3])
        pd.testing.assert_frame_equal(
            found.sort_values(order, kind="stable", ignore_index=True),
            wanted.sort_values(order, kind="stable", ignore_index=True), check_dtype=False,
        )  # fmt: skip
    order = ["run_id", "case_id", "side", "block"]
    pd.testing.assert_frame_equal(
        rows(index, "blocks").sort_values(order, ignore_index=True),
        blocks_of(results.samples).sort_values(order, ignore_index=True), check_dtype=False,
    )  # fmt: skip
    assert rows(index, "runs")["run_id"].tolist() == results.runs["run_id"].tolist()
    assert sorted(index.problems) == sorted(results.problems)
    return index


def test_the_index_answers_as_the_run_folders_do(store):
    write_store(store, Plan(seq_lens=(64, 128), hidden_sizes=(64, 128), seed=5), folder="reference")
    index = holds_what_the_folders_do(store)
    runs = rows(index, "runs").set_index("run_id")
    counts = load(store).measurements.groupby(["run_id", "status"]).size()
    for (run_id, status), count in counts.items():
        assert runs.loc[run_id, status] == count
    assert set(runs["folder"]) == {"runs", "reference"}


def test_a_place_is_the_class_else_the_device_else_the_run_alone(store):
    for run, known in zip(sorted((store / "runs").iterdir()), ({"environment_class": "e"}, {"environment": {"device_name": "M3"}}, {}), strict=True):  # fmt: skip
        manifest = json.loads((run / "manifest.json").read_text()) | {"environment_class": None, "environment": {}}
        (run / "manifest.json").write_text(json.dumps(manifest | known))
    found = rows(update_index(store), "runs")
    assert found["place"].tolist() == ["e", "device M3", f"run {found['run_id'].iloc[2]}"]
    for run in found.itertuples():
        manifest = json.loads((store / run.path / "manifest.json").read_text())
        assert run.place == place(run.run_id, manifest)  # what `gatebench history` goes by


def test_a_run_is_read_once(store, read):
    update_index(store)
    assert len(read) == 3
    update_index(store)
    assert len(read) == 3
    new = tiny(store, 1, seed=1)
    update_index(store)
    assert read[3:] == [f"runs/{new[0]}"]


def test_runs_that_went_away_or_changed_are_seen(store, read):
    update_index(store)
    first, second, _ = sorted((store / "runs").iterdir())
    shutil.rmtree(first)
    (second / "accuracy.parquet").write_bytes(b"PAR1")
    index = holds_what_the_folders_do(store)
    assert read[3:] == [f"runs/{second.name}"]
    assert "accuracy.parquet cannot be read" in index.problems[0]
    assert rows(index, "accuracy")["run_id"].nunique() == 1


def test_a_store_that_was_replaced_is_read_anew(store, tmp_path):
    update_index(store)
    shutil.rmtree(store / "runs")
    tiny(store, 2, seed=9)
    holds_what_the_folders_do(store)


def test_runs_that_another_resumes_are_hidden(store):
    old, new = sorted((store / "runs").iterdir())[:2]
    manifest = json.loads((new / "manifest.json").read_text())
    (new / "manifest.json").write_text(json.dumps({**manifest, "resumes": old.name}))
    index = holds_what_the_folders_do(store)
    assert old.name not in set(rows(index, "measurements")["run_id"])


def test_what_cannot_be_read_is_a_problem_and_the_rest_is_there(store):
    cut, foreign, _ = sorted((store / "runs").iterdir())
    (cut / "measurements.parquet").write_bytes((cut / "measurements.parquet").read_bytes()[:50])
    (foreign / "manifest.json").write_text('{"schema_version": 99, "run_id": "x", "files": {}}')
    (store / "runs" / "stray").mkdir()
    index = holds_what_the_folders_do(store)
    assert len(index.problems) == 3
    assert rows(index, "runs").set_index("run_id").loc[cut.name, "unreadable"]


def test_a_store_without_runs_has_empty_tables(tmp_path):
    (tmp_path / "runs").mkdir()
    index = holds_what_the_folders_do(tmp_path)
    assert rows(index, "measurements").empty
    with pytest.raises(StoreError, match="no such folder"):
        update_index(tmp_path / "gone")


@pytest.mark.parametrize(
    "damage",
    [
        lambda part, state: part.write_bytes(part.read_bytes()[:-9]),
        lambda part, state: part.unlink(),
        lambda part, state: state.write_text("{"),
        lambda part, state: state.write_text("[]"),
        lambda part, state: state.write_text(state.read_text().replace('"version": 1', '"version": 0')),
        lambda part, state: state.unlink(),
    ],
)
def test_a_damaged_index_is_built_anew(store, read, damage):
    folder = update_index(store).folder
    damage(next(folder.glob("*-measurements.parquet")), folder / "index.json")
    holds_what_the_folders_do(store)
    assert len(read) == 6
    left = {path.name.partition("-")[0] for path in folder.glob("*.parquet")}
    assert len(left) == 1  # what was left of the damaged one is gone


def test_a_store_that_grows_run_by_run_has_few_parts(tmp_path, monkeypatch):
    store = tmp_path / "results"
    written = []
    write = parts._write_anew
    monkeypatch.setattr(parts, "_write_anew", lambda *given: written.append(given[2]) or write(*given))
    for seed in range(20):
        tiny(store, 1, seed=seed)
        index = update_index(store)
        assert len(index.files["runs"]) <= 5
    holds_what_the_folders_do(store)
    assert len(written) < 20


def test_rows_of_runs_that_are_gone_leave_the_files(tmp_path):
    store = tmp_path / "results"
    ids = tiny(store, 6)
    update_index(store)
    for run_id in ids[:4]:
        shutil.rmtree(store / "runs" / run_id)
    after = holds_what_the_folders_do(store)
    assert after.whole
    for table in ("runs", "measurements"):
        (path,) = after.files[table]
        assert len(pq.read_table(path)[KEY].unique()) == 2


def test_a_store_that_cannot_be_written_has_its_index_in_the_cache_folder(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (store / ".index").write_text("a file where the folder would be")
    index = holds_what_the_folders_do(store)
    assert index.folder.parent == tmp_path / "cache" / "gatebench"


def test_a_full_disk_is_one_line_and_costs_nothing(store, monkeypatch):
    index = update_index(store)
    tiny(store, 1, seed=1)

    def full(*args, **settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parts.pq, "write_table", full)
    with pytest.raises(StoreError, match="index: cannot be written: No space left on device"):
        update_index(store)
    assert len(rows(index, "runs")) == 3
    monkeypatch.undo()
    holds_what_the_folders_do(store)


def test_what_was_read_before_an_interrupt_is_kept(store, read, monkeypatch):
    monkeypatch.setattr(indexing, "_PART_RUNS", 1)

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_index(store, interrupt)
    del read[:]
    holds_what_the_folders_do(store)
    assert len(read) == 1


def test_progress_is_told_up_to_the_last_run(store, monkeypatch):
    monkeypatch.setattr(indexing, "_PART_RUNS", 2)
    told = []
    update_index(store, lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (2, 3), (3, 3)]


def test_two_processes_that_index_at_once_get_along(tmp_path):
    store = tmp_path / "results"
    tiny(store, 12)
    code = "import sys; from pathlib import Path; from gatebench.query.index import update_index; print(len(update_index(Path(sys.argv[1])).keys))"
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(store)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [worker.communicate()[0].strip() for worker in workers] == ["12"] * 3
    holds_what_the_folders_do(store)


def test_a_manifest_is_given_back_as_it_is(store):
    folder = next((store / "runs").iterdir())
    assert json.loads(Questions(update_index(store)).manifest(folder.name)) == json.loads((folder / "manifest.json").read_text())  # fmt: skip


def test_who_asks_files_that_are_swept_learns_that_they_are_gone(store):
    before = Questions(update_index(store))
    tiny(store, 1, seed=7)
    after = update_index(store)
    assert after.state != before.index.state
    with pytest.raises(IndexGone, match="No files found"):
        before.frame("SELECT * FROM blocks")
    with pytest.raises(IndexGone):
        Questions(before.index)


def test_the_same_runs_in_other_files_are_another_state(store):
    first = update_index(store)
    discard_index(store)
    second = update_index(store)
    assert second.keys == first.keys
    assert second.state != first.state


def test_a_store_is_indexed_once_its_index_holds_all_runs_as_they_are(store, tmp_path):
    assert not is_indexed(store)
    update_index(store)
    assert is_indexed(store)
    run = next((store / "runs").iterdir())
    (run / "measurements.parquet").write_bytes(b"other")
    assert not is_indexed(store)
    update_index(store)
    shutil.rmtree(run)
    assert not is_indexed(store)
    assert not is_indexed(tmp_path / "nowhere")
