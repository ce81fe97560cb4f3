"""`gatebench stability` from flags to run folder, tables, JSON and figures; bad input in one line each."""

import json
import math
from pathlib import Path

import pytest
from cli_helpers import HEAD, STABILITY, one_line, suite

from gatebench.report import pictures
from gatebench.run.stability_rows import StabilityRunner
from gatebench.stability.measure import measure
from gatebench.store.read import load

STORE = ("--store", "elsewhere")
SIZES = ("--seq-len", 8, "--hidden-size", 3, "--batch", 2)
LSTM = ("stability", "lstm", *SIZES, "--seeds", 1, *STORE)


def stored():
    """Return the rows of the newest run."""
    rows = load(Path("elsewhere")).stability
    return rows[rows["run_id"] == rows["run_id"].max()]


def values(rows, metric, **columns):
    """Return the values of a metric's rows, in their order."""
    chosen = rows[rows["metric"] == metric]
    for name, value in columns.items():
        chosen = chosen[chosen[name] == value]
    return chosen["value"].tolist()


@pytest.fixture
def inside(monkeypatch):
    """Measure in this process: starting a worker is not what most of these tests are about."""
    monkeypatch.setattr(StabilityRunner, "_rows", lambda self, request: measure(request))


# --- end to end


def test_a_gate_that_learns_is_measured_before_while_and_after_and_drawn(gb):
    arguments = (
        *LSTM, "--task", "copy", "--after-steps", 8, "--clip", 0.5, "--learning-rate", 0.02, "--metric", "*",
        "--probes", 1, "--draw", "training.html", "--draw", "sweep=steps.html", "--json",
    )  # fmt: skip
    answer = gb(*arguments)
    assert answer.code == 0, answer
    rows = stored()
    request = {
        "gate": "lstm", "gate_options": {}, "init": "torch", "inputs": "task", "dtype": "float64", "seq_len": 8,
        "input_size": 10, "hidden_size": 3, "batch": 2, "seed": 0, "task": "copy", "after_steps": 8, "clip": 0.5,
        "learning_rate": 0.02, "metrics": list(pictures.KINDS["spectrum"]),
    }  # fmt: skip
    expected = measure(request)
    for metric in ("train_loss", "lyapunov_exponent", "clip_rate"):
        assert values(rows, metric, task="copy") == [row["value"] for row in expected if row["metric"] == metric]
    assert set(rows["train_step"].dropna()) == set(range(9))
    assert set(rows["probe"]) == {"ones", "gaussian:0"}
    found = json.loads(answer.out)
    snapshots = [(case["task"], case["train_step"]) for case in found["stability"] if case["probe"] == "ones"]
    assert snapshots == [("copy", step) for step in (0, 2, 4, 6, 8)]
    assert [(entry["task"], entry["after_steps"]) for entry in found["training"]] == [("copy", 8)]
    assert {len(entry["lyapunov_exponents"]) for entry in found["spectra"]} == {6}
    assert "loss" in Path("training.html").read_text(encoding="utf-8")
    assert "steps of training" in Path("steps.html").read_text(encoding="utf-8")


def test_a_sweep_of_biases_stands_beside_theory_in_a_table_that_fits(gb, inside):
    answer = gb("stability", "lstm,rnn_relu", *SIZES, "--init", "forget_bias=-2,forget_bias=1000", "--seeds", 2, *STORE)
    assert answer.code == 3, answer  # of rnn_relu nothing was measured
    title, header, *lines = answer.out.splitlines()
    assert title == "Do gradients survive? (half-life and reach in steps, inputs normal, float64, seeds 2, T8 B2 H3)"
    assert header.split()[:5] == ["gate", "init", "class", "half-life", "in"]
    assert next(line for line in lines if "forget_bias=-2 " in line).split()[4] == "0.326"  # ln 2 / -ln σ(-2)
    assert next(line for line in lines if "forget_bias=1000 " in line).split()[4] == "∞"
    assert (
        "  rnn_relu, init forget_bias=-2, forget_bias=1000: unsupported: rnn_relu has no gate that keeps its" in lines
    )
    assert max(len(line) for line in answer.out.splitlines()) <= 100
    assert values(stored(), "predicted_half_life") == 2 * [pytest.approx(math.log(2) / math.log1p(math.exp(2)))] + 2 * [
        math.inf
    ]
    assert "of them compiling" not in answer.out


def test_what_is_not_asked_for_is_not_measured(gb, inside):
    assert gb(*LSTM, "--metric", "singular_values, determinant", "--dtype", "float16").code == 0
    groups = {"log_singular_value", "log_abs_det", "class", "nonfinite_count", "first_bad_step"}
    assert set(stored()["metric"]) == groups


def test_gates_without_time_learn_nothing_and_say_so(gb, inside):
    answer = gb("stability", "glu,swiglu_ffn,rnn_tanh", *SIZES, "--seeds", 1, "--after-steps", 1, *STORE)
    assert answer.code == 3
    for gate in ("glu", "swiglu_ffn"):
        assert f"  {gate}, init torch: unsupported: {gate} has no time, so it is not trained on sequences" in answer.out


def test_sequences_that_are_too_short_for_a_task_are_rows_and_exit_3_where_nothing_is_left(gb, inside):
    answer = gb("stability", "lstm", "--seq-len", "1,3", "--hidden-size", 2, "--seeds", 1, "--task", "copy", "--after-steps", 2, *STORE)  # fmt: skip
    assert answer.code == 3
    lines = answer.out.splitlines()
    assert lines[0] == "Do gradients survive?"  # without the header of a table that has no rows
    assert lines[1:3] == [
        f"  lstm, init torch: unsupported: task copy: seq_len is {length}; accepted: 4 and more" for length in (1, 3)
    ]
    reber = gb("stability", "lstm", "--seq-len", "1,2", "--hidden-size", 2, "--seeds", 1, "--task", "reber", "--after-steps", 1, *STORE)  # fmt: skip
    assert reber.code == 0, reber


def test_a_metric_that_is_refused_is_exit_3_unless_another_one_has_a_value(gb, inside, monkeypatch):
    from gatebench.stability import through_time

    monkeypatch.setattr(through_time, "ALL_EXPONENTS_LIMIT", 5)
    for metrics, code in (("spectrum", 3), ("spectrum,singular_values", 3), ("spectrum,saturation", 0), ("lyapunov", 0)):  # fmt: skip
        answer = gb(*LSTM, "--metric", metrics)
        assert (answer.code, "spectrum: the state has 6 values" in answer.out) == (code, "spectrum" in metrics)
    assert gb("stability", "rnn_tanh,lstm", *LSTM[2:], "--metric", "spectrum").code == 3  # of lstm nothing was measured
    text = f'{HEAD}[stability]\nwhy = "w"\ngates = ["lstm"]\nseq_len = [8]\nhidden_size = [3]\nmetrics = ["spectrum"]\n'
    assert gb("run", suite(text), *STORE).code == 0  # nobody named it, and its class is known


def test_a_gate_with_neither_time_nor_a_stack_has_its_saturation_alone(gb, inside):
    answer = gb("stability", "glu", *SIZES, "--seeds", 1, *STORE)
    reason = "  glu, init torch: unsupported: glu has no time and is not stackable, so it has no gradient profile, only"
    title, *lines = answer.out.splitlines()
    assert (answer.code, title[:22]) == (0, "Do gradients survive? ")  # its saturation was asked for, too
    assert lines[0].startswith(reason[:90])  # the answer to the title's question, not below the last table
    assert values(stored(), "saturation_mean")
    assert gb("stability", "glu", *SIZES, "--seeds", 1, "--metric", "profile,depth", *STORE).code == 3
    assert gb("stability", "glu,rnn_tanh", *SIZES, "--seeds", 1, "--metric", "profile", *STORE).code == 3


def test_float64_has_no_low_precision_and_that_is_no_failure(gb, inside):
    assert gb(*LSTM, "--metric", "precision").code == 0


def test_a_combination_that_takes_too_long_is_a_row_with_the_time_it_had(gb):
    answer = gb(*LSTM, "--after-steps", 1_000_000, "--timeout", 1)
    assert answer.code == 3
    assert "lstm, init torch: timeout: no answer to stability within 1 s" in answer.out


def test_an_interrupted_run_is_kept_drawn_and_finished_by_resuming_it(gb, monkeypatch):
    flags = (
        "stability",
        "rnn_relu",
        *SIZES,
        "--seeds",
        2,
        "--task",
        "reber,adding",
        "--after-steps",
        4,
        "--clip",
        1e-3,
    )
    asked = []

    def interrupted(self, request):
        asked.append((request["task"], request["seed"]))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return measure(request)

    monkeypatch.setattr(StabilityRunner, "_rows", interrupted)
    answer = gb(*flags, "--metric", "*", "--draw", "training.html", *STORE)
    assert answer.code == 130
    assert "interrupted: `gatebench run --resume " in answer.out
    assert Path("training.html").is_file()
    assert gb("run", "--resume", *STORE).code == 0
    assert asked == [("reber", 0), ("reber", 1), ("adding", 0), ("adding", 0), ("adding", 1)]
    resumed = stored().drop(columns=["run_id", "folder"], errors="ignore").reset_index(drop=True)
    whole = [row for task, width in (("reber", 7), ("adding", 2)) for seed in (0, 1) for row in measure({
        "gate": "rnn_relu", "init": "torch", "inputs": "task", "dtype": "float64", "seq_len": 8, "input_size": width,
        "hidden_size": 3, "batch": 2, "seed": seed, "task": task, "after_steps": 4, "clip": 1e-3,
        "metrics": ["profile", "bounds", "lyapunov", "spectrum", "singular_values", "determinant", "saturation", "theory"],
    })]  # fmt: skip
    for column in ("task", "seed", "metric", "lag", "index", "train_step", "value", "label"):
        assert [None if cell != cell else cell for cell in resumed[column].astype(object)] == [row[column] for row in whole]  # fmt: skip
    assert -math.inf in set(resumed["value"])


def test_an_interruption_before_the_first_value_is_no_error(gb, monkeypatch):
    def interrupted(self, request):
        raise KeyboardInterrupt

    monkeypatch.setattr(StabilityRunner, "_rows", interrupted)
    figures = [text for kind in ("norms", "summary", "saturation", "sweep") for text in ("--draw", f"{kind}.html")]
    answer = gb(*LSTM, *figures)
    assert (answer.code, answer.out.splitlines()[0]) == (130, "Do gradients survive?")
    assert json.loads(gb(*LSTM, "--json").out)["stability"] == []
    assert "Nothing here differs in a number" in Path("sweep.html").read_text(encoding="utf-8")


def test_a_figure_that_cannot_be_written_is_one_line_after_the_table_and_the_run_is_kept(gb, inside, monkeypatch):
    monkeypatch.setattr(pictures, "check_drawings", lambda drawings, requests: Path("norms.html").mkdir())
    answer = gb("stability", "rnn_tanh", *SIZES, "--seeds", 1, "--draw", "norms.html", "--draw", "summary.html", *STORE)
    assert answer.code == 2
    assert answer.err.splitlines()[-1].startswith("--draw: norms.html: cannot write: Is a directory; ")
    assert "stored in " in answer.out
    assert Path("summary.html").is_file()
    assert len(stored())


def test_the_suite_that_is_stored_asks_for_the_same_again(gb, inside):
    assert gb(*LSTM, "--after-steps", 2, "--clip", 0.25, "--metric", "profile,spectrum", "--probes", 1).code == 0
    first = stored()
    text = load(Path("elsewhere")).folders[-1].manifest["suite"]["text"]
    for line in (
        'tasks = ["adding"]',
        "after_steps = 2",
        "clip = 0.25",
        'metrics = ["profile", "spectrum"]',
        "probes = 1",
    ):
        assert line in text
    assert gb("run", suite(text), *STORE).code == 0
    rows = load(Path("elsewhere")).stability
    second = rows[rows["run_id"] != first["run_id"].iloc[0]]  # ids of one second are in no order
    assert values(first, "train_loss") == values(second, "train_loss")
    assert first["metric"].tolist() == second["metric"].tolist()


def test_options_of_a_gate_are_part_of_the_suite_that_is_stored(gb, inside):
    two = ("stability", "lstm,gru", *SIZES, "--seeds", 1, "--metric", "lyapunov", *STORE)
    assert gb(*two, "-o", "gru.num_layers=2").code == 0
    text = load(Path("elsewhere")).folders[-1].manifest["suite"]["text"]
    assert gb("run", suite(text), "--store", "again").code == 0
    first, second = stored(), load(Path("again")).stability
    assert list(dict.fromkeys(first["gate"])) == ["lstm", "gru"]
    assert set(zip(first["gate"], first["options"], strict=True)) == {("lstm", "{}"), ("gru", '{"num_layers": 2}')}
    for column in ("gate", "options", "metric", "value"):
        assert second[column].fillna(0).tolist() == first[column].fillna(0).tolist()


# --- bad input


TRAIN = ("--after-steps", 2)
BAD = {
    "unknown metric": (("--metric", "spectrm"), ["--metric: unknown metric 'spectrm'; accepted: *, bounds, ", "did you mean 'spectrum'?"]),
    "no metric": (("--metric", ","), ["--metric: []; a list of at least one name"]),
    "probes without a profile": (("--metric", "spectrum", "--probes", 2), ["--probes: 2, given without the metric profile"]),
    "too many probes": (("--probes", 1001), ["--probes: 1001; an integer from 0 to 1,000"]),
    "probes below 0": (("--probes", -1), ["stability: Invalid value for '--probes'"]),
    "unknown task": (("--task", "addng", *TRAIN), ["--task: unknown task 'addng'; accepted: adding, copy, reber; did you mean 'adding'?"]),
    "a task without steps": (("--task", "adding"), ["--task: given without after_steps", "add after_steps"]),
    "a threshold without steps": (("--clip", 1), ["--clip: 1.0, given without tasks"]),
    "a learning rate without steps": (("--learning-rate", 1), ["--learning-rate: 1.0, given without tasks"]),
    "no steps": (("--after-steps", 0), ["stability: Invalid value for '--after-steps'"]),
    "too many steps": (("--after-steps", 10**7), ["--after-steps: 10000000; an integer from 1 to 1,000,000"]),
    "a threshold of 0": ((*TRAIN, "--clip", 0), ["--clip: 0.0; a number above 0"]),
    "a threshold of NaN": ((*TRAIN, "--clip", "nan"), ["--clip: nan; "]),
    "a threshold that is none": ((*TRAIN, "--clip", "much"), ["stability: Invalid value for '--clip'"]),
    "a learning rate below 0": ((*TRAIN, "--learning-rate", -1), ["--learning-rate: -1.0; a number above 0"]),
    "inputs beside a task": ((*TRAIN, "--inputs", "zero"), ["--inputs: given together with tasks"]),
    "an array beside a task": ((*TRAIN, "--inputs", "x.npy"), ["--inputs: x.npy: no such file"]),
    "misspelt inputs": (("--inputs", "nromal"), ["--inputs: unknown inputs 'nromal'", "did you mean 'normal'?"]),
    "a misspelt kind with a number": (("--inputs", "whit=0.5"), ["--inputs: unknown inputs 'whit=0.5'", "did you mean 'white=<s2 >= 0>'?"]),
    "a number that is none": (("--init", "torch,gaussian=-1"), ["--init: unknown init 'gaussian=-1'", "did you mean 'gaussian=<g >= 0>'?"]),
    "a number too many": (("--init", "kears=1"), ["--init: unknown init 'kears=1'", "did you mean 'keras'?"]),
    "a number too small": (("--init", "chrono=2"), ["--init: unknown init 'chrono=2'", "did you mean 'chrono=<T_max >= 3>'?"]),
    "one misspelt of two": (("--inputs", "nromal,white=1"), ["--inputs: unknown inputs 'nromal'"]),
    "no inputs": (("--inputs", ""), ["--inputs: []; "]),
    "inputs that look like a file": (("--inputs", "gone/x"), ["--inputs: x: no such file"]),
    "options of another gate": (("-o", "gru.num_layers=2"), ["-o: gru is not asked for; accepted: options of lstm"]),
    "options of an implementation": (("-o", "compile.chunk=2"), ["-o: compile is not asked for; accepted: options of lstm"]),
    "a time that is none": (("--timeout", "inf"), ["--timeout: inf; a finite number"]),
    "no time": (("--timeout", 0), ["stability: Invalid value for '--timeout'"]),
    "too many seeds": (("--seeds", 20_000), ["--seeds: 20000; an integer from 1 to 10,000"]),
    "too many requests": (("--seeds", 10_000, "--batch", ",".join(map(str, range(1, 12)))), ["stability: expands to 110,000 requests"]),
    "unknown figure": (("--draw", "norm=a.html"), ["--draw: unknown figure 'norm'", "did you mean 'norms'?"]),
    "unknown ending": (("--draw", "norms=a.jpg"), ["--draw: a.jpg has no known ending; accepted: .html, .png, .svg, .pdf"]),
    "a figure in no folder": (("--draw", "gone/norms.html"), ["--draw: no folder gone"]),
    "a figure that is a folder": (("--draw", "norms=folder.html"), ["--draw: folder.html is a folder"]),
    "two figures in one file": (("--draw", "norms=a.html", "--draw", "sweep=a.html"), ["--draw: a.html is named twice"]),
    "a figure of nothing asked": (("--draw", "spectrum.html"), ["--draw: spectrum would show nothing; accepted: with --metric spectrum or singular_values"]),
    "a figure of no training": (("--draw", "training.html"), ["--draw: training would show nothing; accepted: with --after-steps"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_before_anything_is_measured(gb, name):
    Path("folder.html").mkdir()
    arguments, parts = BAD[name]
    one_line(gb("stability", "lstm", *arguments), *parts)
    assert not Path("results").exists()


def test_weights_of_another_width_than_the_task_are_one_line(gb):
    import torch

    torch.save(torch.nn.LSTM(5, 3).state_dict(), "five.pt")
    line = "--weights: five.pt takes inputs of width 5, and the task adding has 2; accepted: weights with I = 2; "
    one_line(gb("stability", "lstm", "--weights", "five.pt", *TRAIN), line)


def test_a_suite_says_in_which_file_and_key(gb):
    text = HEAD + STABILITY + 'tasks = ["adding"]\nafter_steps = 2\nclip = 0\n'
    one_line(gb("run", suite(text)), "s.toml: stability.clip: 0; a number above 0, up to 1,000,000 is accepted")


def test_of_several_parts_the_number_is_said(gb):
    good = STABILITY.replace("[stability]", "[[stability]]")
    for line, message in (("clip = 1", "s.toml: stability[2].clip: 1, given without tasks; "), ("seed = 3", "s.toml: stability[2]: unknown key 'seed'; ")):  # fmt: skip
        one_line(gb("run", suite(HEAD + good + good + line)), message)


def test_help_names_all_metrics_tasks_and_figures(gb):
    text = " ".join(gb("stability", "--help").out.replace("│", " ").split())
    for name in ("profile", "singular_values", "theory", "adding", "copy", "reber", *pictures.KINDS):
        assert name in text
