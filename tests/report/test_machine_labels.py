"""What machines are called: by their device, and where one name is of several places, by what tells these apart."""

import pandas as pd
import pytest

from gatebench.report.runs import machine_labels


@pytest.mark.parametrize(
    ("known", "labels"),
    [
        ([("M3", "abcdef12"), ("M3", "abcdef12")], ["M3", "M3"]),
        ([("M3", "abcdef12"), ("M3", "fedcba98")], ["M3 · abcdef", "M3 · fedcba"]),
        ([("M3", "abcdef12"), ("M3", None)], ["M3 · abcdef", "M3 · unknown class"]),
        ([("M3", None), ("EPYC", None)], ["M3", "EPYC"]),
        ([(None, None), (None, None)], ["unknown machine · run 0000", "unknown machine · run 0001"]),
        ([(None, "abcdef12"), (None, "abcdef12")], ["unknown machine", "unknown machine"]),
    ],
)
def test_a_label_is_of_one_place(known, labels):
    runs = pd.DataFrame(known, columns=pd.Index(["device_name", "environment_class"]), dtype=object)
    runs["run_id"] = [f"20261001T083000Z-{number:04d}" for number in range(len(known))]
    assert list(machine_labels(runs)) == labels
