"""Names that people read, from the columns of a store."""

import pytest

from gatebench.report.names import case_labels

CASE = "gru/numba/T64-B8-I32-H32/float32/cpu-2/forward"


@pytest.mark.parametrize(
    ("cases", "names"),
    [
        ([CASE], ["numba, T64 B8 I32 H32"]),
        ([CASE, CASE.replace("numba", "eager")], ["numba, T64 B8 I32 H32", "eager, T64 B8 I32 H32"]),
        ([CASE, CASE.replace("cpu-2", "cuda")], ["numba, T64 B8 I32 H32, cpu-2", "numba, T64 B8 I32 H32, cuda"]),
        ([CASE, CASE + ";cache=cold"], ["numba, T64 B8 I32 H32", "numba, T64 B8 I32 H32, cache=cold"]),
        (["what?", CASE], ["what?", f"{CASE[:3]}, numba, T64 B8 I32 H32, float32, cpu-2, forward"]),
        (["a;b/c", "a/b;c"], ["a;b/c", "a/b;c"]),
        (["", "x"], ["", "x"]),
        ([], []),
    ],
)
def test_cases_are_named_by_what_tells_them_apart(cases, names):
    assert list(case_labels(cases).items()) == list(zip(cases, names, strict=True))
