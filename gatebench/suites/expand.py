"""Expand a suite to cases and stability requests: axes multiply, names and options are checked."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gatebench.cases import CACHES, DEVICES, DTYPES, LAUNCHES, MODES, Case
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError, unknown
from gatebench.selection import FAMILY, expand_families
from gatebench.shape import Shape
from gatebench.suites.checks import MAX_THREADS, axis, known_keys, sizes, texts
from gatebench.suites.model import SIZES, Narrowing, Suite
from gatebench.suites.own_files import default_sizes, files_of

MAX_CASES = 100_000
INITS = ("torch", "chrono")
INPUTS = ("normal", "zero")
MAX_SEEDS = 10_000  # of one [stability] part
EXCLUDE = {"gates": "gate", "implementations": "implementation", "modes": "mode", "dtypes": "dtype"}


def expand(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[Case]:
    """Return the cases of a suite, in its order, without duplicates; raises SuiteError for none or over 100,000."""
    narrowing = _check_narrowing(narrowing or Narrowing(), catalogue)
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


def expand_stability(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[dict[str, Any]]:
    """Return one request per gate, init, dtype, shape and seed of the suite's [stability] part.

    What a file of one's own says (hash, names, sizes) is still open: gatebench.run.own_files fills it in.
    """
    narrowing = _check_narrowing(narrowing or Narrowing(), catalogue)
    requests: list[dict[str, Any]] = []
    for group in suite.stability:
        where = f"{suite.file}: stability"
        names = _gates(where, group, catalogue)
        files = files_of(where, group, names, catalogue)
        names = [name for name in names if not narrowing.gates or name in narrowing.gates]
        dtypes = axis(where, group, "dtypes", ["float64"], DTYPES)
        seeds = group.get("seeds", 1)
        if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= MAX_SEEDS:
            raise SuiteError(where, f"seeds = {seeds!r}", f"an integer from 1 to {MAX_SEEDS} is accepted")
        inits = [_init(where, text) for text in texts(where, group, "init", ["torch"])]
        inputs = axis(where, group, "inputs", ["normal"], INPUTS)
        lengths = [
            sizes(where, group, key, default_sizes(files, key, default))
            for key, default in (("batch", [4]), ("seq_len", None), ("hidden_size", None))
        ]
        widths = sizes(where, group, "input_size", [0])
        options = {name: {**group.get("options", {}), **narrowing.options.get(name, {})} for name in names}
        for name in names:
            catalogue.check_options(where, name, options[name])
        axes: tuple[Any, ...] = (names, inits, inputs, dtypes, *lengths, widths, range(seeds))
        total = len(requests) + math.prod(len(values) for values in axes)
        if total > MAX_CASES:
            raise SuiteError(
                where, f"expands to {total:,} requests", f"at most {MAX_CASES:,} are accepted", "shorten an axis"
            )
        for name, init, kind, dtype, batch, seq_len, hidden, width, seed in itertools.product(*axes):
            requests.append({
                "gate": name, "gate_options": options[name], "init": init, "inputs": kind,
                "dtype": dtype, "batch": batch, "seq_len": seq_len, "hidden_size": hidden,
                "input_size": width if files else width or hidden, "seed": suite.seed + seed, **files,
            })  # fmt: skip
    return requests


def _init(where: str, text: str) -> str:
    """Check the name of an initialisation, as gatebench.gates.draw reads it."""
    name, equals, value = text.partition("=")
    try:
        right = math.isfinite(float(value)) if name == "forget_bias" else name in INITS and not equals
    except ValueError:
        right = False
    if not right:
        raise unknown(f"{where}.init", "init", text, (*INITS, "forget_bias=<number>"), SuiteError)
    return text


# --- one group of cases


def _expand_group(
    where: str, group: Mapping[str, Any], seed: int, catalogue: Catalogue, narrowing: Narrowing
) -> Iterable[Case]:
    names = _gates(where, group, catalogue)
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
    size = len(_gates(where, group, catalogue)) * _count(group.get("options", {}))
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


def _gates(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    return _gates_named(f"{where}.gates", texts(where, group, "gates", None), catalogue)


def _gates_named(where: str, given: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Return names of gates, each `family:<name>` replaced by its members."""
    families = {gate: catalogue.family(gate) for gate in catalogue.gates}

    def unknown_gate(name: str) -> Exception:
        if name.startswith(FAMILY):
            return unknown(where, "family", name, {FAMILY + family for family in families.values()}, SuiteError)
        return catalogue.unknown(where, "gate", name)

    return expand_families(catalogue.gates if "*" in given else given, families, unknown_gate)


def _implementations(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    names = texts(where, group, "implementations", ["*"])
    for name, options in group.get("implementation_options", {}).items():
        if name in catalogue.gates:
            raise SuiteError(f"{where}.implementation_options", f"gate {name!r} is not asked for", f"a gate of {', '.join(group['gates'])} or an implementation is accepted", "ask for it, or drop its options")  # fmt: skip
        _known(f"{where}.implementation_options", "implementation", [name], catalogue)
        for choice in _option_axes(options):
            catalogue.check_implementation_options(f"{where}.implementation_options", name, choice)
    if "*" in names:
        return list(catalogue.implementations)
    _known(f"{where}.implementations", "implementation", names, catalogue)
    return list(dict.fromkeys(names))


def _known(where: str, kind: str, names: Iterable[str], catalogue: Catalogue) -> None:
    """Raise SuiteError for the first name of a gate or implementation that does not exist."""
    known = catalogue.gates if kind == "gate" else catalogue.implementations
    for name in names:
        if name not in known:
            raise catalogue.unknown(where, kind, name)


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
        _known(f"{where}.gates", "gate", texts(where, entry, "gates", [*catalogue.gates]), catalogue)
        names = texts(where, entry, "implementations", [*catalogue.implementations])
        _known(f"{where}.implementations", "implementation", names, catalogue)
    return excludes


def _matches(case: Case, exclude: Mapping[str, Any]) -> bool:
    for key, wanted in exclude.items():
        value = getattr(case, EXCLUDE[key]) if key in EXCLUDE else getattr(case.shape, key)
        if value not in _listed(wanted):
            return False
    return True


def _check_narrowing(narrowing: Narrowing, catalogue: Catalogue) -> Narrowing:
    """Check the names on the command line; returns the narrowing with families and `*` replaced."""
    for name in narrowing.options:
        if name not in catalogue.gates and name not in catalogue.implementations:
            raise unknown(
                "-o", "gate or implementation", name, [*catalogue.gates, *catalogue.implementations], SuiteError
            )
        check = catalogue.check_options if name in catalogue.gates else catalogue.check_implementation_options
        check("-o", name, narrowing.options[name])
    for flag, kind, values, choices in (
        ("-m", "mode", narrowing.modes, MODES),
        ("--dtype", "dtype", narrowing.dtypes, DTYPES),
    ):
        for value in values:
            if value not in choices:
                raise unknown(flag, kind, value, choices, SuiteError)
    implementations = () if "*" in narrowing.implementations else narrowing.implementations
    _known("-i", "implementation", implementations, catalogue)
    return replace(
        narrowing, gates=tuple(_gates_named("-g", narrowing.gates, catalogue)), implementations=implementations,
        threads=tuple(count or catalogue.cores for count in narrowing.threads),
    )  # fmt: skip
