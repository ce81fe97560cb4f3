"""pytest-benchmark's JSON as a run: what gatebench wrote comes back, what others wrote keeps its name, nothing is trusted."""

import getpass
import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

import gatebench
from gatebench.analyze.statistics import kept_times
from gatebench.errors import UserError
from gatebench.run.imported import import_run
from gatebench.store.exchange import pytest_benchmark_text
from gatebench.store.exchange_read import read_document
from gatebench.store.read import load

ROOT = Path(gatebench.__file__).resolve().parents[1]
OWN = ["run_id", "harness"]  # columns that each run has values of its own for


def benchmark(name="test_a", data=(1e-3, 2e-3, 4e-3), **more):
    """Return a benchmark as pytest-benchmark writes it, as little of it as is read."""
    stats = {"data": list(data), "median": 2e-3, "rounds": 3, "iterations": 5}
    return {"group": None, "name": name, "fullname": f"tests/test_x.py::{name}", "extra_info": {}, "stats": stats, **more}  # fmt: skip


def imported(folder, *benchmarks, **more):
    """Write a file, import it, and return the Results of the store."""
    document = {"benchmarks": list(benchmarks), "datetime": "2026-03-04T05:06:07+00:00", **more}
    (folder / "b.json").write_text(json.dumps(document))
    import_run(read_document(folder / "b.json"), folder / "store")
    return load(folder / "store")


def synthetic(folder):
    sys.path.insert(0, str(ROOT))
    from tests.synthetic import Plan, write_store

    write_store(folder, Plan(seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), stability=False))
    return load(folder)


def text_of(results):
    """Return all that a run folder holds as text: its parquets are compressed."""
    files = [path.read_text() for path in results.folders[0].path.glob("*.json")]
    return "\n".join([*files, results.measurements.to_csv(), results.samples.to_csv()])


def test_numbers_survive_export_and_import(tmp_path):
    before = synthetic(tmp_path / "from")
    (tmp_path / "a.json").write_text(pytest_benchmark_text(before.folders[0], kept_times(before.samples)))
    folder = import_run(read_document(tmp_path / "a.json"), tmp_path / "to")
    after = load(folder)
    assert set(after.measurements["harness"]) == {"imported"} == set(after.runs["harness"])
    expected = before.measurements.dropna(subset="time_ns").reset_index(drop=True)
    found = after.measurements
    for column in expected.columns.drop(OWN):
        if expected[column].dtype.kind == "f":
            np.testing.assert_allclose(found[column].astype(float), expected[column], rtol=1e-12, err_msg=column)
        else:
            assert found[column].tolist() == expected[column].tolist(), column
    kept = kept_times(before.samples)
    kept = kept[kept["case_id"].isin(expected["case_id"])]
    both = [frame.sort_values(["case_id", "block"], kind="stable") for frame in (kept, after.samples)]
    np.testing.assert_allclose(both[1]["wall_ns"], both[0]["wall_ns"], rtol=1e-12)
    assert both[1]["block"].tolist() == both[0]["block"].tolist()


def test_a_foreign_benchmark_keeps_its_name_and_nothing_is_made_up(tmp_path):
    results = imported(tmp_path, benchmark("test_a"), benchmark("test_b[1]", group="sorting"), benchmark("test_b[2]", group="sorting"))  # fmt: skip
    rows = results.measurements
    assert rows["case_id"].tolist() == [f"tests/test_x.py::{name}" for name in ("test_a", "test_b[1]", "test_b[2]")]
    assert rows["gate"].tolist() == ["test_a", "sorting", "sorting"]
    assert rows["implementation"].tolist() == ["imported", "test_b[1]", "test_b[2]"]
    assert rows["problem_id"].tolist() == ["tests/test_x.py::test_a", "sorting", "sorting"]
    unknown = ["mode", "dtype", "device", "threads", "batch", "seq_len", "seed", "cache", "error_ratio", "kernel"]
    assert rows[unknown].isna().all(axis=None)
    assert rows["time_ns"].tolist() == pytest.approx([2e6] * 3)
    assert (rows["samples"].tolist(), rows["loops"].tolist()) == ([3] * 3, [5] * 3)
    assert results.samples["wall_ns"].tolist() == pytest.approx([1e6, 2e6, 4e6] * 3)
    assert results.runs[["created_utc", "suite"]].to_numpy().tolist() == [["2026-03-04T05:06:07+00:00", "b"]]


def test_a_file_without_single_rounds_gives_their_median_and_says_so(tmp_path):
    results = imported(tmp_path, benchmark(stats={"median": 3e-3, "rounds": 12, "iterations": 2}))
    assert results.measurements["time_ns"].tolist() == pytest.approx([3e6])
    assert results.samples["reason"].tolist() == ["the median of 12 rounds"]


def test_rounds_below_the_clock_are_dropped(tmp_path):
    results = imported(tmp_path, benchmark("test_a", (0, 2e-9)), benchmark("test_b", (0, 0.0)))
    assert results.measurements["status"].tolist() == ["ok", "failed"]
    assert results.measurements["reason"].fillna("none").tolist() == ["none", "every round took 0 s by its clock"]
    assert results.samples["dropped"].tolist() == [True, False, True, True]


def test_no_path_user_or_host_of_any_machine_is_stored(tmp_path):
    host, user = socket.gethostname(), getpass.getuser()
    machine = {"node": "builder-17.lan", "cpu": {"brand_raw": "A Processor", "count": 8}, "system": "Linux"}
    bench = benchmark(fullname="/home/lovelace/project/test_x.py::test_a", extra_info={"path": "/home/lovelace/secret"})
    commit = {"id": "0" * 40, "branch": "lovelace/secret", "project": "project"}
    results = imported(tmp_path, bench, machine_info=machine, commit_info=commit)
    text = text_of(results)
    for name in ("builder-17", "lovelace", "secret", str(tmp_path), *({host, user} - {"root", "localhost"})):  # fmt: skip
        assert name not in text, name
    assert results.runs["device_name"].tolist() == ["A Processor"]
    assert results.runs["git_sha"].tolist() == ["0" * 40]


FORGED = {
    "another case": {"case_id": "glu/eager/T2-B1-I4-H4/float32/cpu-1/forward"},
    "a type": {"threads": "many"},
    "a size": {"batch": 10**30},
    "a shape": {"seq_len": [1]},
    "options": {"gate_options": "[1]"},
    "no JSON": {"gate_options": "{"},
    "a side": {"side": "third"},
}


@pytest.mark.parametrize("what", FORGED)
def test_columns_that_do_not_fit_the_name_are_not_believed(tmp_path, what):
    before = synthetic(tmp_path / "from")
    document = json.loads(pytest_benchmark_text(before.folders[0], kept_times(before.samples)))
    bench = document["benchmarks"][0]
    assert imported(tmp_path, bench).measurements["family"].tolist() == ["recurrent"]
    bench["extra_info"]["gatebench"] |= FORGED[what]
    (tmp_path / "forged").mkdir()
    forged = imported(tmp_path / "forged", bench).measurements
    assert forged["family"].tolist() == ["imported"]
    assert forged["seq_len"].isna().all()


def test_a_case_that_comes_twice_is_refused_and_leaves_nothing(tmp_path):
    bench = benchmark("test_a")
    with pytest.raises(UserError, match=r"benchmarks\[1\]: 'tests/test_x.py::test_a' comes twice"):
        imported(tmp_path, bench, bench)
    places = [benchmark("t", fullname=f"/home/{user}/x.py::t") for user in ("lovelace", "bob")]
    with pytest.raises(UserError, match=r"b.json: .*x.py::t comes twice; each case is accepted once"):
        imported(tmp_path, *places)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() or path.parent.name == "_staging"]


def test_a_date_that_cannot_be_is_that_of_the_import(tmp_path):
    for number, text in enumerate(("yesterday", 7, None, "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00"), start=1):
        runs = imported(tmp_path, benchmark(), datetime=text).runs
        assert len(runs) == number
        assert runs["created_utc"].min() > "2026"
