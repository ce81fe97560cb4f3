"""Synthetic rows of stability.parquet: made-up decay rates, names and units as gatebench.stability.metrics has them."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

INITS, DTYPES, SEQ_LENS, SEEDS, BATCH, HIDDEN = ("torch", "forget_bias=1"), ("float32", "bfloat16"), (64, 256), 3, 4, 64
# nats per step at torch's init; forget_bias=1 keeps three times longer where there is a forget gate.
RATES = {"lstm": 0.43, "gru": 0.35, "rnn_tanh": 0.8}
BIASES, SNAPSHOTS, TRAIN_STEPS = (0, 1, 2, 10), (0, 20, 40), 40
LETTERS = {"lstm": "ifgo", "gru": "rzn"}
TANH_LETTERS = "gn"
Row = dict[str, Any]


def stability_rows(
    run_id: str, gates: Sequence[str], random: np.random.Generator, seq_lens: Sequence[int] = SEQ_LENS
) -> list[Row]:
    """Return long-format rows: norms by lag with bound, half-lives, Lyapunov, saturation, classes, two failures."""
    rows: list[Row] = []
    for gate, init, dtype, seq_len, seed in product(gates, INITS, DTYPES, seq_lens, range(SEEDS)):
        case = _case(run_id, gate, init, dtype, seq_len, seed)
        if gate != "lstm" and init != "torch":
            rows.append(case | {"status": "unsupported", "reason": f"{gate} has no forget gate"})
            continue
        rate = RATES.get(gate, 0.3) / (3 if init != "torch" and gate == "lstm" else 1)
        rows += [case | row for row in _rows(gate, dtype, seq_len, rate * float(random.uniform(0.95, 1.05)), random)]
    return rows


def series_rows(run_id: str, gates: Sequence[str], random: np.random.Generator) -> list[Row]:
    """Return what is measured where it is asked for: a sweep of forget biases with spectra and theory, and training."""
    rows: list[Row] = []
    for gate, seed in product(gates, range(SEEDS)):
        for bias in BIASES:
            case, rate = (
                _case(run_id, gate, f"forget_bias={bias}", "float64", 64, seed),
                RATES.get(gate, 0.3) / (1 + bias),
            )
            rows += [case | row for row in (*_rows(gate, "float64", 64, rate, random), *_spectra(64, rate))]
            rows.append(
                case | {"metric": "predicted_half_life", "value": np.log(2) * (1 + np.exp(bias)), "unit": "steps"}
            )
        case = _case(run_id, gate, "torch", "float64", 64, seed) | {"inputs": "task", "task": "adding", "input_size": 2}
        rows += [case | row for row in _training(seed)]
        for step in SNAPSHOTS:
            rate = RATES.get(gate, 0.3) / (1 + step / 10)
            rows += [case | {"train_step": step} | row for row in _rows(gate, "float64", 64, rate, random)]
    return rows


def _case(run_id: str, gate: str, init: str, dtype: str, seq_len: int, seed: int) -> Row:
    return {
        "run_id": run_id, "gate": gate, "options": "{}", "init": init, "inputs": "normal", "dtype": dtype,
        "seq_len": seq_len, "input_size": HIDDEN, "hidden_size": HIDDEN, "batch": BATCH, "seed": seed,
        "probe": "ones", "status": "ok",
    }  # fmt: skip


def _spectra(seq_len: int, rate: float) -> Iterator[Row]:
    for index in range(6):
        exponent = -rate * (1 + index) if index < 5 else -np.inf
        yield {"metric": "lyapunov_exponent", "index": index, "value": exponent, "unit": "nats/step"}
        label = "resolved" if index < 4 else "unresolved"
        value = exponent * seq_len * 0.9
        yield {"metric": "log_singular_value", "index": index, "value": value, "label": label, "unit": "nats"}
    yield {"metric": "kaplan_yorke_dimension", "value": 0.0, "unit": ""}
    yield {"metric": "log_abs_det", "value": -np.inf, "unit": "nats"}


def _training(seed: int) -> Iterator[Row]:
    for step in range(TRAIN_STEPS):
        loss = np.inf if step == 7 else float(np.exp(-step / 10)) + 0.01 * seed
        yield {"metric": "train_loss", "train_step": step, "value": loss, "unit": ""}
        yield {"metric": "train_gradient_norm", "train_step": step, "value": 2 * loss, "unit": ""}
    windows = [(None, TRAIN_STEPS, 0.3), (0, TRAIN_STEPS // 2, 0.6), (1, TRAIN_STEPS, 0.0)]
    for index, stop, rate in windows:
        at = {"index": index, "train_step": stop, "unit": ""}
        yield {"metric": "clip_rate", "value": rate, **at}
        yield {"metric": "clip_coefficient", "value": 1 - rate / 2, **at}
        for name in ("p50", "p95", "p99"):
            yield {"metric": f"train_gradient_norm_{name}", "value": 0.5, **at}
        yield {"metric": "nonfinite_steps", "value": 0.0 if index else 1.0, **at}


def _rows(gate: str, dtype: str, seq_len: int, rate: float, random: np.random.Generator) -> Iterator[Row]:
    for lag in range(0, seq_len + 1, max(1, seq_len // 64)):
        norm = -rate * lag + 0.05 * float(random.normal()) * np.sqrt(lag)
        if dtype == "bfloat16" and norm < -60:
            norm = -np.inf
        spread = 0.02 * lag
        yield {"metric": "log_gradient_norm", "part": "", "lag": lag, "value": norm, "unit": "nats"}
        yield {"metric": "log_gradient_norm_p10", "lag": lag, "value": norm - spread, "unit": "nats"}
        yield {"metric": "log_gradient_norm_p90", "lag": lag, "value": norm + spread, "unit": "nats"}
        yield {"metric": "log_norm_bound", "lag": lag, "value": -0.6 * rate * lag, "unit": "nats"}
    for row in range(BATCH):
        slope = rate * float(random.uniform(0.85, 1.15))
        yield {"metric": "half_life", "index": row, "value": np.log(2) / slope, "unit": "steps"}
        yield {"metric": "reach", "index": row, "value": float(int(np.log(1e3) / slope)), "unit": "steps"}
    yield {"metric": "half_life", "value": np.log(2) / rate, "unit": "steps"}
    yield {"metric": "largest_lyapunov", "value": -rate * 0.9, "standard_error": 0.01, "unit": "nats/step"}
    yield {"metric": "class", "label": "vanished" if rate * seq_len > 17 else "vanishing", "unit": ""}
    for letter in LETTERS.get(gate, ""):
        if letter in TANH_LETTERS:
            yield {"metric": "saturation_tanh", "part": letter, "value": 0.02, "unit": ""}
        else:
            yield {"metric": "saturation_low", "part": letter, "value": float(random.uniform(0, 0.1)), "unit": ""}
            yield {"metric": "saturation_high", "part": letter, "value": float(random.uniform(0, 0.2)), "unit": ""}
