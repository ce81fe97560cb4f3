"""GateBench's own speed, printed by `make overhead` and asserted nowhere: machines differ, and ratios are what counts."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gatebench.cases import Case
from gatebench.run.process import WorkerProcess, WorkerSettings
from gatebench.shape import Shape
from gatebench.store.read import load
from gatebench.store.write import write_run
from tests.synthetic import Plan, write_store

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 4 << 30


def command(*arguments):
    subprocess.run([sys.executable, "-m", "gatebench.cli.main", *arguments], cwd=ROOT, capture_output=True, check=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_store(folder, Plan())
    return folder


@pytest.fixture(scope="module")
def thousand_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thousand")
    small = Plan(runs=1000, gates=("lstm",), implementations=("eager", "native"), seq_lens=(64,), hidden_sizes=(64,))
    write_store(folder, small)
    return folder


def test_help(benchmark):
    benchmark.pedantic(command, ("--help",), rounds=5, warmup_rounds=1)


def test_compare_a_stored_run(benchmark, store):
    benchmark.pedantic(command, ("compare", "latest", "--store", str(store)), rounds=5, warmup_rounds=1)


def test_start_a_worker(benchmark):
    def start_and_end():
        worker = WorkerProcess(WorkerSettings("eager", (), 1, MEMORY), 60)
        assert worker.greeting["protocol"] == 1
        worker.close()

    benchmark.pedantic(start_and_end, rounds=5, warmup_rounds=1)


def test_prepare_a_case(benchmark):
    worker = WorkerProcess(WorkerSettings("native", (), 1, MEMORY), 60)
    case = Case(gate="lstm", implementation="native", shape=Shape(batch=8, seq_len=64, input_size=128, hidden_size=128))
    try:
        benchmark.pedantic(lambda: worker.request("prepare", 60, case=case.to_json()), rounds=10, warmup_rounds=2)
    finally:
        worker.close()


def test_write_a_run_of_10000_rows(benchmark, tmp_path):
    row = {"run_id": "r", "case_id": "c", "side": "run", "stage": "run", "quantity": "time", "wall_ns": 1.0}
    rows = [{**row, "round": number} for number in range(10_000)]
    numbers = iter(range(1000))

    def write():
        name = f"run{next(numbers)}"
        write_run(tmp_path / name, tmp_path / "runs" / name, {"run_id": name}, [], {"samples": rows})

    benchmark.pedantic(write, rounds=5, warmup_rounds=1)


def test_load_1000_runs(benchmark, thousand_runs):
    benchmark.pedantic(lambda: len(load(thousand_runs).measurements), rounds=3)


@pytest.mark.parametrize("page", ["overview", "scaling", "winner_map", "stability"])
def test_a_dashboard_page_from_cold(benchmark, store, page):
    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"sys.argv = ['app', '--store', {str(store)!r}];"
        f"app = AppTest.from_file({str(ROOT / 'dashboard' / 'app.py')!r}, default_timeout=60);"
        f"app.run() if {page!r} == 'overview' else app.switch_page('views/{page}.py').run();"
        "assert not app.exception"
    )
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True),
        rounds=3,
        warmup_rounds=1,
    )


def test_share_of_a_quick_run_spent_in_samples(benchmark, tmp_path):
    benchmark.pedantic(command, ("run", "quick", "--store", str(tmp_path)), rounds=1)
    results = load(tmp_path)
    samples = results.samples
    timed = samples[samples["quantity"] == "time"]
    in_samples = float((timed["wall_ns"] * timed["loops"]).sum()) / 1e9
    elapsed = results.folders[0].manifest["elapsed"]
    after_compile = elapsed["total_s"] - elapsed["compile_s"]
    print(
        f"\nquick: {elapsed['total_s']:.0f} s in all, {elapsed['compile_s']:.0f} s of them before timing (compile); "
        f"in samples {in_samples:.0f} s, {100 * in_samples / after_compile:.0f} % of the rest"
    )


@pytest.mark.parametrize("implementations", ["eager,native,numba,onnxruntime", "compile"])
def test_verify_the_catalogue(benchmark, implementations):
    """Every gate at two shapes in two dtypes, and apart from that, compiled, at one."""
    arguments = [sys.executable, "-m", "gatebench.cli.main", "verify", "catalogue", "-i", implementations, "--json"]
    answers = []

    def verify():
        answers.append(subprocess.run(arguments, cwd=ROOT, capture_output=True, check=False).stdout)

    benchmark.pedantic(verify, rounds=1)
    statuses = Counter(case["status"] for case in json.loads(answers[0])["cases"])
    print(f"\ncatalogue, {implementations}: " + ", ".join(f"{count} {status}" for status, count in statuses.items()))
    assert set(statuses) <= {"ok", "unsupported", "unavailable"}


def test_numba_beside_native(benchmark, tmp_path):
    """LSTM and GRU at the three shapes that the README's numbers are about, forward, float32, all cores."""
    arguments = ("-g", "lstm,gru", "-i", "native,numba", "--blocks", "3", "--rounds", "8")
    shapes = (("1", "128", "256"), ("16", "128", "256"), ("1", "128", "1024"))

    def run_all():
        for batch, seq_len, hidden in shapes:
            sizes = ("--batch", batch, "--seq-len", seq_len, "--hidden-size", hidden)
            command("run", *arguments, *sizes, "--store", str(tmp_path))

    benchmark.pedantic(run_all, rounds=1)
    from gatebench.analyze.compare import compare
    from gatebench.report.quantities import times_text

    results = load(tmp_path)
    compared = compare(results.measurements, results.samples, "native")
    print()
    for row in compared[compared["implementation"] == "numba"].itertuples():
        print(f"{row.problem_id}: numba {times_text(row.speedup, row.speedup_low, row.speedup_high)} over native")
