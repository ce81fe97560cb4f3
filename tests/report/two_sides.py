"""Hand-made rows and means of two sides."""

import pandas as pd

from gatebench.analyze.sides import COLUMNS, MEANS, SPEEDUP, Sides

ABOUT = {
    "gate": "lstm", "gate_options": "{}", "implementation": "numba", "implementation_options": "{}", "mode": "forward", "dtype": "float32",
    "device": "cpu", "threads": 2, "batch": 4, "input_size": 16, "hidden_size": 16, "seq_len": 8, "cache": "hot", "launch": "eager",
    "seed": 0, "harness": "worker", "about_side": "run",
}  # fmt: skip


def row(value=2.0, low=None, high=None, outcome="faster", seq_len=8, **more):
    key = more.pop(
        "key", f"{more.get('gate', 'lstm')}/{more.get('implementation', 'numba')}/T{seq_len}/{more.get('mode', '')}"
    )
    known = (
        dict.fromkeys(COLUMNS)
        | ABOUT
        | {"seq_len": seq_len, "key": key, "case_id_a": key, "case_id_b": key, "outcome": outcome}
    )
    low, high = (value * 0.9 if low is None else low), (value * 1.1 if high is None else high)
    return (
        known
        | {
            "value": value,
            "low": low,
            "high": high,
            "pairs": 5,
            "blocks_a": 5,
            "blocks_b": 5,
            "amount_a": 2e6,
            "amount_b": 1e6,
        }
        | more
    )


def sides(*rows, means=(), measure=SPEEDUP, judged=False):
    return Sides(pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(list(means), columns=MEANS), measure, judged)


def mean(value, cases, **more):
    return {name: ABOUT.get(name) for name in MEANS} | {"side": "run", "value": value, "low": value * 0.9, "high": value * 1.1, "cases": cases} | more  # fmt: skip
