"""Expand a suite to cases: axes multiply, names and options are checked."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gatebench.cases import CACHES, DEVICES, DTYPES, LAUNCHES, MODES, Case
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError, unknown
from gatebench.shape import Shape
from gatebench.suites.checks import MAX_CASES, MAX_THREADS, axis, known_keys, sizes, texts
from gatebench.suites.model import SIZES, Narrowing, Suite
from gatebench.suites.names import check_known, check_narrowing, group_gates

EXCLUDE = {"gates": "gate", "implementations": "implementation", "modes": "mode", "dtypes": "dtype"}


def expand(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[Case]:
    """Return the cases of a suite, in its order, without duplicates; raises SuiteError for none or over 100,000."""
    narrowing = check_narrowing(narrowing or Narrowing(), catalogue)
    total = 0
    kept: dict[str, Case] = {}
    for number, group in enumerate(suite.cases, start=1):
        where = f"{suite.file}: cases[{number}]"
        size = _group_size(where, group, catalogue)
        total += size
        if total > MAX_CASES:
            raise SuiteError(
                suite.file, f"expands to {total:,} cases", f"at most {MAX_CASES:,} are accepted", "shorten an axis"
            )
        for case in _expand_group(where, group, suite.seed, catalogue, narrowing):
            if narrowing.keeps(case):
                kept.setdefault(case.case_id, case)
    if not kept and (suite.cases or not suite.stability):
        what = "leaves no cases" if total else "expands to no cases"
        raise SuiteError(suite.file, what, "at least one case is needed", "widen -g, -i, -m, -k or the suite's axes")
    return list(kept.values())


# --- one group of cases


def _expand_group(
    where: str, group: Mapping[str, Any], seed: int, catalogue: Catalogue, narrowing: Narrowing
) -> Iterable[Case]:
    names = group_gates(where, group, catalogue)
    implementations = _implementations(where, group, catalogue)
    device = _device(where, group, catalogue)
    axes = _group_axes(where, group, catalogue)
    excludes = _excludes(where, group, catalogue)
    shapes = _shapes(where, group)
    for name, shape, options in itertools.product(names, shapes, _option_axes(group.get("options", {}))):
        options = {**options, **narrowing.options.get(name, {})}
        gate_options = catalogue.check_options(f"{where}.options", name, options)
        for dtype, threads, cache, launch, mode in itertools.product(
            axes["dtypes"], axes["threads"], axes["cache"], axes["launch"], axes["modes"]
        ):
            for implementation in implementations:
                given = group.get("implementation_options", {}).get(implementation, {})
                given = {**given, **narrowing.options.get(implementation, {})}
                for choice in _option_axes(given):
                    case = Case(
                        gate=name, implementation=implementation, shape=shape, dtype=dtype, device=device,
                        threads=threads, mode=mode, cache=cache, launch=launch, seed=seed, gate_options=gate_options,
                        implementation_options=catalogue.check_implementation_options(where, implementation, choice),
                    )  # fmt: skip
                    if not any(_matches(case, exclude) for exclude in excludes):
                        yield case


def _group_size(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> int:
    """Return how many cases a group expands to, nothing excluded, without expanding it."""
    by_implementation = group.get("implementation_options", {})
    size = len(group_gates(where, group, catalogue)) * _count(group.get("options", {}))
    size *= sum(_count(by_implementation.get(name, {})) for name in _implementations(where, group, catalogue))
    size *= math.prod(len(values) for values in _group_axes(where, group, catalogue).values())
    if "shapes" in group:
        return size * len(_listed(group["shapes"]))
    return size * math.prod(len(_listed(group[key])) for key in SIZES if key in group)


def _count(options: Mapping[str, Any]) -> int:
    return math.prod(len(_listed(value)) for value in options.values())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _group_axes(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> dict[str, list[Any]]:
    threads = [count or catalogue.cores for count in sizes(where, group, "threads", [0], 0, MAX_THREADS)]
    return {
        "modes": axis(where, group, "modes", ["forward"], MODES),
        "dtypes": axis(where, group, "dtypes", ["float32"], DTYPES),
        "cache": axis(where, group, "cache", ["hot"], CACHES),
        "launch": axis(where, group, "launch", ["eager"], LAUNCHES),
        "threads": threads,
    }


def _implementations(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    names = texts(where, group, "implementations", ["*"])
    for name, options in group.get("implementation_options", {}).items():
        if name in catalogue.gates:
            raise SuiteError(f"{where}.implementation_options", f"gate {name!r} is not asked for", f"a gate of {', '.join(group['gates'])} or an implementation is accepted", "ask for it, or drop its options")  # fmt: skip
        check_known(f"{where}.implementation_options", "implementation", [name], catalogue)
        for choice in _option_axes(options):
            catalogue.check_implementation_options(f"{where}.implementation_options", name, choice)
    if "*" in names:
        return list(catalogue.implementations)
    check_known(f"{where}.implementations", "implementation", names, catalogue)
    return list(dict.fromkeys(names))


def _device(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> str:
    device = group.get("device", "auto")
    if device not in ("auto", *DEVICES):
        raise unknown(f"{where}.device", "device", device, ("auto", *DEVICES), SuiteError)
    return catalogue.best_device if device == "auto" else device


def _shapes(where: str, group: Mapping[str, Any]) -> list[Shape]:
    if "shapes" in group:
        if any(key in group for key in SIZES):
            raise SuiteError(where, "gives shapes and single sizes", "accepted: one or the other", "drop one of them")
        if not isinstance(group["shapes"], list) or not group["shapes"]:
            raise SuiteError(f"{where}.shapes", f"{group['shapes']!r}", "a list of at least one table is accepted")
        return [
            _tuple_shape(f"{where}.shapes[{number}]", shape) for number, shape in enumerate(group["shapes"], start=1)
        ]
    batch, seq_len, hidden = (sizes(where, group, key, None) for key in ("batch", "seq_len", "hidden_size"))
    widths = sizes(where, group, "input_size", [0])
    return [
        Shape(batch=b, seq_len=t, input_size=i or h, hidden_size=h)
        for b, t, i, h in itertools.product(batch, seq_len, widths, hidden)
    ]


def _tuple_shape(where: str, shape: Any) -> Shape:
    if not isinstance(shape, dict):
        raise SuiteError(where, f"{shape!r}", "a table of sizes is accepted")
    known_keys(where, shape, SIZES)
    found = {key: sizes(where, shape, key, None)[0] for key in ("batch", "seq_len", "hidden_size")}
    return Shape(input_size=sizes(where, shape, "input_size", [found["hidden_size"]])[0], **found)


def _option_axes(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        dict(zip(options, choice, strict=True))
        for choice in itertools.product(*(_listed(value) for value in options.values()))
    ]


def _excludes(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[dict[str, Any]]:
    excludes = group.get("exclude", [])
    where = f"{where}.exclude"
    if not isinstance(excludes, list) or not all(isinstance(entry, dict) for entry in excludes):
        raise SuiteError(where, f"{excludes!r}", "a list of tables is accepted")
    for entry in excludes:
        known_keys(where, entry, (*EXCLUDE, *SIZES))
        for key in set(entry) & set(SIZES):
            sizes(where, entry, key, None)
        axis(where, entry, "modes", [*MODES], MODES)
        axis(where, entry, "dtypes", [*DTYPES], DTYPES)
        check_known(f"{where}.gates", "gate", texts(where, entry, "gates", [*catalogue.gates]), catalogue)
        names = texts(where, entry, "implementations", [*catalogue.implementations])
        check_known(f"{where}.implementations", "implementation", names, catalogue)
    return excludes


def _matches(case: Case, exclude: Mapping[str, Any]) -> bool:
    for key, wanted in exclude.items():
        value = getattr(case, EXCLUDE[key]) if key in EXCLUDE else getattr(case.shape, key)
        if value not in _listed(wanted):
            return False
    return True
