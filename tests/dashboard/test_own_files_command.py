"""The command below the stability page, where what it shows came from files."""

import pandas as pd
import pytest

from dashboard.views.stability import command

ROW = {"gate": "lstm", "dtype": "float64", "seq_len": 8, "hidden_size": 4, "batch": 2, "init": "torch", "inputs": "normal"}  # fmt: skip


@pytest.mark.parametrize(
    ("init", "inputs", "words"),
    [
        ("torch", "normal", "--init torch --hidden-size 4 --dtype float64 --seq-len 8 --batch 2"),
        ("file:1a2b3c4d", "normal", "--weights FILE --dtype float64 --seq-len 8 --batch 2"),
        ("file:1a2b3c4d#enc.rnn,l1,reverse", "file:5e6f7a8b",
         "--weights FILE --prefix enc.rnn --layer 1 --direction reverse --dtype float64 --seq-len 8 --inputs FILE"),
    ],
)  # fmt: skip
def test_the_command_names_files_and_what_was_chosen_in_them(init, inputs, words):
    rows = pd.DataFrame([ROW | {"init": init, "inputs": inputs}])
    assert command(rows, rows.iloc[0]) == f"gatebench stability lstm {words}"
