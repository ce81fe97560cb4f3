"""What was measured of each gate by each implementation, what is not right and why, and what nobody measured."""

import pandas as pd

from gatebench.report.colours import BUILT_IN
from gatebench.report.names import natural
from gatebench.store.schema import FAILURES

NOT_MEASURED = "not measured"
SEVERITY = (*FAILURES, "unavailable", "unsupported", "ok")  # the worst first
PAIR = ["gate", "implementation"]
PROBLEM = [
    "problem_id", "gate", "gate_options", "mode", "dtype", "device", "threads", "batch", "seq_len", "input_size",
    "hidden_size", "cache", "launch", "seed",
]  # fmt: skip
NEEDED = [*PROBLEM, "run_id", "case_id", "side", "implementation", "implementation_options", "status", "reason"]
CELL_COLUMNS = [*PAIR, "status", "cases", "missing", *SEVERITY]


def newest_cases(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the newest row of each case of one machine; of two versions, the head's.

    Columns: NEEDED. Rows that name no gate or no implementation (imported ones) are left out.
    """
    named = measurements[measurements["gate"].notna() & measurements["implementation"].notna()]
    ordered = named.assign(old=named["side"] == "base").sort_values(["run_id", "old"], ascending=[False, True])
    return ordered.drop_duplicates("case_id").drop(columns="old").sort_index()


def coverage_cells(cases: pd.DataFrame) -> pd.DataFrame:
    """Return one row per gate and implementation, pairs that nobody measured included; all gates, all implementations.

    cases: one row per case; columns gate, implementation, problem_id, status. Columns returned: CELL_COLUMNS: status (the
    worst of the cases, or `not measured`), cases, missing (problems that other implementations of the gate have, and this
    one has not), and a count per status.
    """
    if cases.empty:
        return pd.DataFrame(columns=pd.Index(CELL_COLUMNS))
    gates, names = sorted(set(cases["gate"]), key=natural), implementations(cases)
    pairs = pd.MultiIndex.from_product([gates, names], names=PAIR)
    counts = pd.crosstab([cases["gate"], cases["implementation"]], cases["status"])
    counts = counts.reindex(index=pairs, columns=list(SEVERITY), fill_value=0)
    done = cases.groupby(PAIR)["problem_id"].nunique().reindex(pairs, fill_value=0)
    every = cases.groupby("gate")["problem_id"].nunique().reindex(pairs.get_level_values("gate"))
    table = counts.assign(cases=counts.sum(axis=1), missing=every.to_numpy() - done.to_numpy())
    present = counts.gt(0)
    table["status"] = present.idxmax(axis=1).where(present.any(axis=1), NOT_MEASURED)
    return table.reset_index()[CELL_COLUMNS]


def implementations(cases: pd.DataFrame) -> list[str]:
    """Return the implementations that occur, the built-in ones first, in their fixed order."""
    found = set(cases["implementation"])
    return [name for name in BUILT_IN if name in found] + sorted(found - set(BUILT_IN), key=natural)


def counts(cell: pd.Series) -> list[str]:
    """Return a cell's counts in words, the worst first: `2 wrong`, `12 ok`, `3 not measured`."""
    words = [f"{cell[status]} {status.replace('_', ' ')}" for status in SEVERITY if cell[status]]
    return words + ([f"{cell['missing']} {NOT_MEASURED}"] if cell["missing"] else [])


def reasons(cases: pd.DataFrame) -> pd.DataFrame:
    """Return why cases are not ok, the worst first: status, implementation, gate, reason, cases (how many), last (date).

    cases: one row per case; columns status, implementation, gate, reason, case_id, date (of its run, as text).
    """
    not_ok = cases[cases["status"] != "ok"]
    not_ok = not_ok.assign(reason=not_ok["reason"].replace("", None).fillna("no reason given"))
    keys = ["status", "implementation", "gate", "reason"]
    table = not_ok.groupby(keys, sort=False).agg(cases=("case_id", "size"), last=("date", "max")).reset_index()
    order = {status: place for place, status in enumerate(SEVERITY)}
    return table.sort_values(["status", "implementation", "gate"], key=_ranked(order), ignore_index=True)


def _ranked(order: dict[str, int]):
    return lambda column: column.map(lambda value: order.get(value, len(order))) if column.name == "status" else column


def not_measured(cases: pd.DataFrame) -> pd.DataFrame:
    """Return a row per problem that an implementation lacks and another one of the same gate has.

    cases: columns PROBLEM and implementation. Columns returned: PROBLEM, implementation, tried (whether the implementation
    has any case of the gate: where it has none, it may not support the gate at all).
    """
    problems = cases[PROBLEM].drop_duplicates("problem_id")
    every = problems.merge(pd.DataFrame({"implementation": implementations(cases)}), how="cross")
    pairs = [["problem_id", "implementation"], PAIR]
    there, tried = (pd.MultiIndex.from_frame(every[keys]).isin(pd.MultiIndex.from_frame(cases[keys])) for keys in pairs)
    return every.assign(tried=tried)[~there].reset_index(drop=True)


def nowhere_available(cases: pd.DataFrame) -> dict[str, str]:
    """Return the implementations that are unavailable in every case here, with the first reason."""
    absent = cases.groupby("implementation").filter(lambda rows: bool((rows["status"] == "unavailable").all()))
    return absent.groupby("implementation", sort=False)["reason"].first().fillna("no reason given").to_dict()
