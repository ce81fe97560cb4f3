"""`gatebench export` and `gatebench import`: files for others and from others; bad ones are one line."""

import json
import subprocess
import sys

import pytest
from cli_helpers import one_line

from gatebench.store import exchange_read

BENCH = {"name": "t", "fullname": "x.py::t", "stats": {"data": [2.5e-3]}}


def with_bench(**changes):
    return json.dumps({"benchmarks": [BENCH | changes]})


def with_stats(**changes):
    return with_bench(stats=BENCH["stats"] | changes)


BROKEN = {
    "truncated": (json.dumps({"benchmarks": [BENCH]})[:-5], "is not JSON: "),
    "deep": ("[" * 200_000, "is not JSON: nested too deep"),
    "bytes": (b"\xff\xfe\xfa", "is not JSON: "),
    "empty": ("", "is not JSON: "),
    "number": ("1" * 5000, "is not JSON: Exceeds the limit"),
    "foreign": ('{"cases": []}', "has no list `benchmarks`"),
    "list": ("[]", "has no list `benchmarks`"),
    "nothing": ('{"benchmarks": []}', "holds no benchmark"),
    "no table": ('{"benchmarks": [3]}', "benchmarks[0]: fullname = None"),
    "no name": (with_bench(fullname=5), "benchmarks[0]: fullname = 5"),
    "long name": (with_bench(fullname="x" * 2000), "benchmarks[0]: fullname = 'xxx"),
    "no stats": (with_bench(stats=[]), "benchmarks[0].stats.median: None"),
    "no data": (with_stats(data=[]), "benchmarks[0].stats.data: []"),
    "text": (with_stats(data=["1"]), "benchmarks[0].stats.data: '1'"),
    "truth": (with_stats(data=[True]), "benchmarks[0].stats.data: True"),
    "negative": (with_stats(data=[1e-3, -1e-3]), "benchmarks[0].stats.data: -0.001"),
    "infinite": (with_stats(data=[float("inf")]), "benchmarks[0].stats.data: inf"),
    "not a number": (with_stats(data=[float("nan")]), "benchmarks[0].stats.data: nan"),
    "huge": (with_stats(data=[10**400]), "benchmarks[0].stats.data: 1000"),
    "loops": (with_stats(iterations=0), "benchmarks[0].stats.iterations: 0"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_or_foreign_file_is_one_line(gb, tmp_path, kind):
    text, part = BROKEN[kind]
    (tmp_path / "b.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    one_line(gb("import", "b.json"), "b.json: ", part)


def test_what_is_no_file_is_one_line(gb, tmp_path, monkeypatch):
    one_line(gb("import", "gone.json"), "gone.json: cannot be read: No such file")
    one_line(gb("import", tmp_path), "cannot be read: Is a directory")
    one_line(gb("import", "/dev/null"), "null: is no regular file")
    monkeypatch.setattr(exchange_read, "MAX_BYTES", 10 << 20)
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate((10 << 20) + 1)
    one_line(gb("import", "big.json"), "big.json: has 10 MiB; up to 10 MiB are accepted")


def test_an_import_says_where_it_went_and_compare_shows_it(gb, tmp_path):
    (tmp_path / "b.json").write_text(with_bench())
    answer = gb("import", "b.json", "--store", "kept")
    assert answer.code == 0
    first, following = answer.out.splitlines()
    run_id = first.split()[-1]
    assert first == f"1 benchmark of b.json stored as run {run_id}"
    assert following == f"next: gatebench compare {run_id} --long --store kept"
    shown = gb("compare", run_id, "--store", "kept")
    assert shown.out.splitlines()[0] == "t, imported"
    assert "unknown" in shown.out
    assert "nan" not in shown.out
    assert "2.50 ms * " in gb("compare", run_id, "--long", "--store", "kept").out


def test_a_name_of_others_steers_no_terminal(gb, tmp_path):
    hostile = "t.py::test_\x1b]0;owned\x07\x1b[31mx"
    (tmp_path / "b.json").write_text(with_bench(name=hostile, fullname=hostile))
    assert gb("import", "b.json", "--store", "kept").code == 0
    for view in ((), ("--long",), ("-g", "other")):
        answer = gb("compare", "latest", "--store", "kept", *view)
        assert "test_\\x1b]0;owned\\x07\\x1b[31mx" in answer.out + answer.err
        assert not any(letter in answer.out + answer.err for letter in "\x1b\x07")


def test_pytest_benchmark_compares_what_was_exported(gb, tmp_path, stored):
    for name in ("a.json", "b.json"):
        assert gb("export", "--store", stored, "-o", name).code == 0
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "a.json", "b.json", "--columns=min,median", "--csv=c.csv"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "benchmark 'gru/T64-B16-I64-H64/float32/cpu-2/forward': 6 tests" in done.stdout
    for name in ("native", "eager", "compile"):
        assert f"gru/{name}/T64-B16-I64-H64/float32/cpu-2/forward (a)" in done.stdout, name
    assert "param:implementation" in (tmp_path / "c.csv").read_text().splitlines()[0]
    assert "WARNING" not in done.stdout + done.stderr


def test_an_export_goes_to_stdout_or_into_a_file(gb, tmp_path, stored):
    out = gb("export", "--store", stored).out
    assert gb("export", "--store", stored, "--to", "pytest-benchmark", "-o", "a.json").out == ""
    assert (tmp_path / "a.json").read_text() == out
    assert json.loads(out)["benchmarks"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.json"]
    assert gb("export", "--store", stored, "--to", "csv").out.startswith('"run_id","case_id","problem_id"')
    assert gb("export", "--store", stored, "--to", "csv", "--table", "accuracy").out.startswith('"run_id","case_id","side","tensor"')  # fmt: skip


def test_bad_requests_are_one_line(gb, tmp_path, stored):
    one_line(gb("export", "--store", stored, "--to", "xml"), "--to: unknown format 'xml'; accepted: csv, pytest-benchmark")  # fmt: skip
    one_line(gb("export", "--store", stored, "--to", "csv", "--table", "sample"), "--table: unknown table 'sample'", "did you mean 'samples'?")  # fmt: skip
    one_line(gb("export", "--store", stored, "--table", "samples"), "--table: given together with --to pytest-benchmark")  # fmt: skip
    one_line(gb("export", "--store", stored, "--to", "csv", "--table", "verdicts"), "holds no verdicts")
    one_line(gb("export", "gone", "--store", stored), "no run 'gone'")
    one_line(gb("export", "--store", stored, "-o", "gone/a.json"), "-o: a.json: cannot write: No such file")
    one_line(gb("export", "--store", stored, "-o", tmp_path), "-o: ", "cannot write: Is a directory")
