"""Section Coverage: what of a run is not right or not measured, and why; and how exact results are, tensor by tensor."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from gatebench.report.coverage import coverage_cells, newest_cases, not_measured, reasons
from gatebench.report.figures.coverage import coverage_figure
from gatebench.report.figures.errors import error_cells, error_figure
from gatebench.report.html.content import Drawing, Part, Section
from gatebench.report.quantities import is_missing, significant
from gatebench.report.table import Block

CHOICES = ("Gate", "Dtype")
GRID = (
    "The symbol is the worst status in a tile, the numbers are cases. Hatched: other implementations were measured in cases of this "
    "gate that this one was not. Of two versions, the head counts."
)
ERRORS = (
    "In a cell: the largest error ratio of the cases, which is the largest absolute error against the float64 reference, divided by that "
    "of eager in the same dtype (or by the rounding of the largest value, where that is more). Colour: the error ratio as a share of its "
    "limit. ✗: wrong. @first and @last: the first and the last step."
)


def coverage_section(measurements: pd.DataFrame, accuracy: pd.DataFrame, date: str) -> Section:
    """Return the grid of gates and implementations with reasons, then error ratios by gate and dtype. date: of the run."""
    question = "What has not been measured or is not right, and why?"
    cases = newest_cases(measurements)
    if cases.empty:
        return Section("coverage", "Coverage", question, notes=("Nothing was measured that names a gate.",))
    cells = coverage_cells(cases)
    drawing = Drawing(partial(coverage_figure, cells), "status of each gate by each implementation", "coverage")
    grid = Part("Gates and implementations", {}, drawing, GRID)
    told = Part("", blocks=(_reasons(cases.assign(date=date)), _missing(cases)))
    return Section("coverage", "Coverage", question, [grid, told, *_errors(cases, accuracy)], CHOICES)


def _reasons(cases: pd.DataFrame) -> Block:
    table = reasons(cases)
    if table.empty:
        return Block("What is not right, and why", (), (), (f"Nothing: all {len(cases)} measured cases are ok.",))
    columns = ["status", "implementation", "gate", "reason", "cases"]
    table = table.assign(status=table["status"].str.replace("_", " "))[columns].astype(str)
    return Block(
        "What is not right, and why", tuple(columns), tuple(table.itertuples(index=False, name=None)), numbers=False
    )


def _missing(cases: pd.DataFrame) -> Block:
    """Count the cases that an implementation lacks and another one of the gate has."""
    missing = not_measured(cases)
    title = "What has not been measured"
    if missing.empty:
        return Block(
            title, (), (), ("Nothing: every implementation has every case that any other one of the gate has.",)
        )
    counts = missing.groupby(["gate", "implementation", "tried"], sort=False).size().reset_index(name="cases")
    rows = tuple(
        (row.gate, row.implementation, str(row.cases), "other cases of the gate were measured" if row.tried else "never tried with this gate here")
        for row in counts.itertuples()
    )  # fmt: skip
    return Block(title, ("gate", "implementation", "cases", ""), rows, numbers=False)


def _errors(cases: pd.DataFrame, accuracy: pd.DataFrame) -> Iterator[Part]:
    by_case = accuracy.groupby("case_id", sort=False).indices if len(accuracy) else {}
    for (gate, dtype), rows in cases.groupby(["gate", "dtype"], sort=False):
        places = [place for case in rows["case_id"] for place in by_case.get(case, ())]
        cells = error_cells(accuracy.iloc[places], rows)
        if cells.empty:
            continue
        title = f"Errors by tensor and gate block · {gate} · {dtype}"
        drawing = Drawing(partial(error_figure, cells), f"error ratio of each tensor against its limit: {gate}, {dtype}", f"errors {gate} {dtype}")  # fmt: skip
        yield Part(title, {"Gate": str(gate), "Dtype": str(dtype)}, drawing, ERRORS, (_numbers(cells),))


def _numbers(cells: pd.DataFrame) -> Block:
    rows = [
        (
            row.tensor, row.competitor, "not judged" if row.passed is None else "right" if row.passed else "wrong",
            *("–" if is_missing(value) else significant(value) for value in (row.error_ratio, row.limit_ratio, row.relative_error)),
            str(row.cases), str(row.case_id),
        )
        for row in cells.itertuples()
    ]  # fmt: skip
    header = ("tensor", "implementation", "verdict", "error ratio", "limit", "relative error", "cases", "worst case")
    return Block("Numbers", header, tuple(rows), numbers=False)
