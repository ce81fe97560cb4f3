"""A suite: a TOML file that names axes to sweep, and the cases they expand to."""

import hashlib
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gatebench.cases import CACHES, DEVICES, DTYPES, LAUNCHES, MODES, Case
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError, unknown
from gatebench.shape import Shape
from gatebench.shipped import shipped

SCHEMA = "gatebench-suite/1"
MAX_CASES = 100_000
MAX_SIZE = 1 << 24  # one axis of a shape; above this a case could not be held anywhere

_TOP = ("schema", "name", "why", "seed", "extends", "plugins", "measure", "cases", "stability")
_SIZES = ("batch", "seq_len", "input_size", "hidden_size")
_AXES = ("modes", "dtypes", "threads", "cache", "launch")
_GROUP = (
    "why",
    "gates",
    "implementations",
    "device",
    *_AXES,
    *_SIZES,
    "shapes",
    "options",
    "implementation_options",
    "exclude",
)
_EXCLUDE = {"gates": "gate", "implementations": "implementation", "modes": "mode", "dtypes": "dtype"}
_STABILITY = (
    "why",
    "gates",
    "options",
    "init",
    "inputs",
    "dtypes",
    "batch",
    "seq_len",
    "input_size",
    "hidden_size",
    "seeds",
)


@dataclass(frozen=True)
class Measure:
    """How a suite is measured; every run stores what was used."""

    blocks: int = 3  # fresh worker processes; the unit of statistics
    rounds: int = 10  # samples per block
    sample_ms: float = 20.0  # a sample lasts at least this
    warmup_s: float = 0.3  # first block
    timeout_s: float = 300.0  # of one request
    memory_mb: int = 0  # of one worker; 0: half of the machine's memory, shared by the workers
    error_limit: float | None = (
        None  # error_ratio above which a result is wrong; lowers the dtype's limit, never raises it
    )


_MEASURE_MINIMUM = {"blocks": 1, "rounds": 1, "sample_ms": 0.01, "warmup_s": 0.0, "timeout_s": 0.1, "memory_mb": 0}
_MAX_ERROR_LIMIT = 4.0  # the strictest dtype's own limit


@dataclass(frozen=True)
class Suite:
    """A suite as it was read; `cases` and `stability` are groups that are still to be expanded."""

    name: str
    why: str
    seed: int
    measure: Measure
    cases: tuple[Mapping[str, Any], ...]
    stability: tuple[Mapping[str, Any], ...]
    plugins: tuple[Path, ...]
    text: str
    file: str

    @property
    def sha256(self) -> str:
        """Return the hash of the suite's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Narrowing:
    """What the command line leaves of a suite; empty means everything."""

    gates: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    batch: tuple[int, ...] = ()
    seq_len: tuple[int, ...] = ()
    hidden_size: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    glob: str = ""
    implementation_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def keeps(self, case: Case) -> bool:
        """Say whether a case is left."""
        from fnmatch import fnmatchcase

        shape = case.shape
        pairs = (
            (self.gates, case.gate), (self.implementations, case.implementation), (self.modes, case.mode),
            (self.dtypes, case.dtype), (self.batch, shape.batch), (self.seq_len, shape.seq_len),
            (self.hidden_size, shape.hidden_size), (self.threads, case.threads),
        )  # fmt: skip
        matches = not self.glob or fnmatchcase(case.case_id, self.glob) or fnmatchcase(case.case_id, f"*{self.glob}*")
        return matches and all(not wanted or value in wanted for wanted, value in pairs)


def find_suite(name: str) -> Path:
    """Return the file of a suite: a path, or the name of a shipped one; raises SuiteError."""
    path = Path(name)
    if path.is_file():
        return path
    names = shipped_suites()
    if name in names:
        return shipped("suites") / f"{name}.toml"
    if path.suffix == ".toml" or "/" in name:
        raise SuiteError(f"suite {name}", "no such file", f"a TOML file, or a shipped suite: {', '.join(names)}")
    raise unknown("suite", "suite", name, names, SuiteError)


def shipped_suites() -> list[str]:
    """Return the names of the suites that come with gatebench."""
    return sorted(path.stem for path in shipped("suites").glob("*.toml"))


def read_suite(path: Path) -> Suite:
    """Read and check a suite file, with what it extends; raises SuiteError with file, key and value."""
    where = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SuiteError(
            f"suite {where}", f"cannot be read: {reason}", "a TOML file is accepted", "check the path"
        ) from error
    return suite_from_text(text, where, path.parent)


def suite_from_text(text: str, where: str, directory: Path) -> Suite:
    """Check a suite's text; plugins are looked up beside `directory`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"suite {where}", f"is not TOML: {error}", "", "mend the line") from error
    return suite_from_data(raw, text, where, directory)


def suite_from_data(raw: Mapping[str, Any], text: str, where: str, directory: Path) -> Suite:
    """Check a suite's data and return it; raises SuiteError for anything unknown or missing."""
    if raw.get("schema") != SCHEMA:
        raise SuiteError(
            where, f"schema = {raw.get('schema')!r} is no suite", f'accepted: schema = "{SCHEMA}"', "add the line"
        )
    _known_keys(where, raw, _TOP)
    base = None
    if "extends" in raw:
        _check_type(where, "extends", raw["extends"], str)
        if raw["extends"] == Path(where).stem:
            raise SuiteError(where, f"extends = {raw['extends']!r} is the suite itself", "accepted: another suite")
        base = read_suite(find_suite(raw["extends"]))
    name = raw.get("name", Path(where).stem)
    _check_type(where, "name", name, str)
    _check_type(where, "why", raw.get("why", ""), str)
    seed = raw.get("seed", base.seed if base else 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise SuiteError(where, f"seed = {seed!r}", "an integer from 0 is accepted")
    groups = raw.get("cases", [])
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise SuiteError(where, "cases is no list of tables", "accepted: [[cases]]")
    for number, group in enumerate(groups, start=1):
        _check_group(f"{where}: cases[{number}]", group, _GROUP)
    stability = raw.get("stability", [])
    stability = [stability] if isinstance(stability, dict) else stability
    for group in stability:
        _check_group(f"{where}: stability", group, _STABILITY)
    measure = _measure(where, raw.get("measure", {}), base.measure if base else Measure())
    plugins = raw.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(plugin, str) for plugin in plugins):
        raise SuiteError(where, f"plugins = {plugins!r}", "a list of file names is accepted")
    return Suite(
        name=name,
        why=raw.get("why", ""),
        seed=seed,
        measure=measure,
        cases=(*(base.cases if base else ()), *groups),
        stability=tuple(stability) or (base.stability if base else ()),
        plugins=(*(base.plugins if base else ()), *(directory / plugin for plugin in plugins)),
        text=text,
        file=where,
    )


def expand(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[Case]:
    """Return the cases of a suite, in its order, without duplicates; raises SuiteError for none or over 100,000."""
    narrowing = narrowing or Narrowing()
    _check_narrowing(narrowing, catalogue)
    total = 0
    kept: dict[str, Case] = {}
    for number, group in enumerate(suite.cases, start=1):
        where = f"{suite.file}: cases[{number}]"
        size = _group_size(where, group, catalogue)
        total += size
        if total > MAX_CASES:
            raise SuiteError(
                suite.file,
                f"expands to over {total - 1:,} cases",
                f"at most {MAX_CASES:,} are accepted",
                "shorten an axis",
            )
        for case in _expand_group(where, group, suite.seed, catalogue, narrowing):
            if narrowing.keeps(case):
                kept.setdefault(case.case_id, case)
    if not kept and (suite.cases or not suite.stability):
        what = "leaves no cases" if total else "expands to no cases"
        raise SuiteError(suite.file, what, "at least one case is needed", "widen -g, -i, -m, -k or the suite's axes")
    return list(kept.values())


def expand_stability(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[dict[str, Any]]:
    """Return one request per gate, init, dtype, shape and seed of the suite's [stability] part."""
    narrowing = narrowing or Narrowing()
    requests = []
    for group in suite.stability:
        where = f"{suite.file}: stability"
        names = [name for name in _gates(where, group, catalogue) if not narrowing.gates or name in narrowing.gates]
        dtypes = _axis(where, group, "dtypes", ["float64"], DTYPES)
        seeds = group.get("seeds", 1)
        if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= 10_000:
            raise SuiteError(where, f"seeds = {seeds!r}", "an integer from 1 to 10000 is accepted")
        inits, inputs = _texts(where, group, "init", ["torch"]), _texts(where, group, "inputs", ["normal"])
        sizes = [
            _sizes(where, group, key, default)
            for key, default in (("batch", [4]), ("seq_len", None), ("hidden_size", None))
        ]
        widths = _sizes(where, group, "input_size", [0])
        for name, init, kind, dtype, batch, seq_len, hidden, width, seed in itertools.product(
            names, inits, inputs, dtypes, *sizes, widths, range(seeds)
        ):
            catalogue.check_options(where, name, group.get("options", {}))
            requests.append({
                "gate": name, "gate_options": dict(group.get("options", {})), "init": init, "inputs": kind,
                "dtype": dtype, "batch": batch, "seq_len": seq_len, "hidden_size": hidden,
                "input_size": width or hidden, "seed": suite.seed + seed,
            })  # fmt: skip
    return requests


# --- one group of cases


def _expand_group(
    where: str, group: Mapping[str, Any], seed: int, catalogue: Catalogue, narrowing: Narrowing
) -> Iterable[Case]:
    names = _gates(where, group, catalogue)
    implementations = _implementations(where, group, catalogue)
    device = _device(where, group, catalogue)
    axes = _group_axes(where, group, catalogue)
    excludes = _excludes(where, group)
    shapes = _shapes(where, group)
    for name, shape, options in itertools.product(names, shapes, _option_axes(where, group.get("options", {}))):
        gate_options = catalogue.check_options(f"{where}.options", name, options)
        for dtype, threads, cache, launch, mode in itertools.product(
            axes["dtypes"], axes["threads"], axes["cache"], axes["launch"], axes["modes"]
        ):
            for implementation in implementations:
                given = group.get("implementation_options", {}).get(implementation, {})
                given = {**given, **narrowing.implementation_options.get(implementation, {})}
                for choice in _option_axes(where, given):
                    case = Case(
                        gate=name, implementation=implementation, shape=shape, dtype=dtype, device=device,
                        threads=threads, mode=mode, cache=cache, launch=launch, seed=seed, gate_options=gate_options,
                        implementation_options=catalogue.check_implementation_options(where, implementation, choice),
                    )  # fmt: skip
                    if not any(_matches(case, exclude) for exclude in excludes):
                        yield case


def _group_size(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> int:
    axes = _group_axes(where, group, catalogue)
    size = len(_gates(where, group, catalogue)) * len(_implementations(where, group, catalogue))
    for values in axes.values():
        size *= len(values)
    if "shapes" in group:
        return size * len(group["shapes"])
    for key in _SIZES:
        size *= len(group[key]) if isinstance(group.get(key), list) else 1
    return size


def _group_axes(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> dict[str, list[Any]]:
    threads = [count or catalogue.cores for count in _sizes(where, group, "threads", [0], minimum=0)]
    return {
        "modes": _axis(where, group, "modes", ["forward"], MODES),
        "dtypes": _axis(where, group, "dtypes", ["float32"], DTYPES),
        "cache": _axis(where, group, "cache", ["hot"], CACHES),
        "launch": _axis(where, group, "launch", ["eager"], LAUNCHES),
        "threads": threads,
    }


def _gates(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    names: list[str] = []
    for name in _texts(where, group, "gates", None):
        if name.startswith("family:"):
            family = [gate for gate in catalogue.gates if catalogue.family(gate) == name.removeprefix("family:")]
            if not family:
                families = {f"family:{catalogue.family(gate)}" for gate in catalogue.gates}
                raise unknown(where, "family", name, families, SuiteError)
            names += family
        elif name in catalogue.gates:
            names.append(name)
        else:
            raise unknown(f"{where}.gates", "gate", name, catalogue.gates, SuiteError)
    return list(dict.fromkeys(names))


def _implementations(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    names = _texts(where, group, "implementations", ["*"])
    if names == ["*"]:
        return list(catalogue.implementations)
    for name in names:
        if name not in catalogue.implementations:
            raise unknown(f"{where}.implementations", "implementation", name, catalogue.implementations, SuiteError)
    for name in group.get("implementation_options", {}):
        if name not in catalogue.implementations:
            raise unknown(
                f"{where}.implementation_options", "implementation", name, catalogue.implementations, SuiteError
            )
    return list(dict.fromkeys(names))


def _device(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> str:
    device = group.get("device", "auto")
    if device not in ("auto", *DEVICES):
        raise unknown(f"{where}.device", "device", device, ("auto", *DEVICES), SuiteError)
    return catalogue.best_device if device == "auto" else device


def _shapes(where: str, group: Mapping[str, Any]) -> list[Shape]:
    if "shapes" in group:
        if any(key in group for key in _SIZES):
            raise SuiteError(where, "gives shapes and single sizes", "accepted: one or the other", "drop one of them")
        if not isinstance(group["shapes"], list) or not group["shapes"]:
            raise SuiteError(f"{where}.shapes", f"{group['shapes']!r}", "a list of at least one table is accepted")
        return [
            _tuple_shape(f"{where}.shapes[{number}]", shape) for number, shape in enumerate(group["shapes"], start=1)
        ]
    batch, seq_len, hidden = (_sizes(where, group, key, None) for key in ("batch", "seq_len", "hidden_size"))
    widths = _sizes(where, group, "input_size", [0])
    return [
        Shape(batch=b, seq_len=t, input_size=i or h, hidden_size=h)
        for b, t, i, h in itertools.product(batch, seq_len, widths, hidden)
    ]


def _tuple_shape(where: str, shape: Any) -> Shape:
    if not isinstance(shape, dict):
        raise SuiteError(where, f"{shape!r}", "a table of sizes is accepted")
    _known_keys(where, shape, _SIZES)
    sizes = {key: _sizes(where, shape, key, None)[0] for key in ("batch", "seq_len", "hidden_size")}
    return Shape(input_size=_sizes(where, shape, "input_size", [sizes["hidden_size"]])[0], **sizes)


def _option_axes(where: str, options: Any) -> list[dict[str, Any]]:
    if not isinstance(options, dict):
        raise SuiteError(where, f"options {options!r}", "a table is accepted")
    values = [value if isinstance(value, list) else [value] for value in options.values()]
    return [dict(zip(options, choice, strict=True)) for choice in itertools.product(*values)]


def _excludes(where: str, group: Mapping[str, Any]) -> list[dict[str, Any]]:
    excludes = group.get("exclude", [])
    if not isinstance(excludes, list) or not all(isinstance(entry, dict) for entry in excludes):
        raise SuiteError(f"{where}.exclude", f"{excludes!r}", "a list of tables is accepted")
    for entry in excludes:
        _known_keys(f"{where}.exclude", entry, (*_EXCLUDE, *_SIZES))
    return excludes


def _matches(case: Case, exclude: Mapping[str, Any]) -> bool:
    for key, wanted in exclude.items():
        value = getattr(case, _EXCLUDE[key]) if key in _EXCLUDE else getattr(case.shape, key)
        if value not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


# --- checks


def _check_group(where: str, group: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(group, dict):
        raise SuiteError(where, f"{group!r} is no table", "a table is accepted")
    _known_keys(where, group, keys)
    if not isinstance(group.get("why"), str) or not group["why"].strip():
        raise SuiteError(where, "has no `why`", "one sentence is required", "say what this group is for")


def _known_keys(where: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise unknown(where, "key", key, keys, SuiteError)


def _check_type(where: str, key: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise SuiteError(where, f"{key} = {value!r}", f"{kind.__name__} is accepted")


def _texts(where: str, group: Mapping[str, Any], key: str, default: list[str] | None) -> list[str]:
    if key not in group and default is None:
        raise SuiteError(where, f"has no `{key}`", "it is required", f"add {key} = [...]")
    values = group.get(key, default)
    values = [values] if isinstance(values, str) else values
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise SuiteError(f"{where}.{key}", f"{values!r}", "a list of at least one name is accepted")
    return values


def _axis(where: str, group: Mapping[str, Any], key: str, default: list[str], choices: tuple[str, ...]) -> list[str]:
    values = _texts(where, group, key, default)
    for value in values:
        if value not in choices:
            raise unknown(f"{where}.{key}", key.removesuffix("s"), value, choices, SuiteError)
    return values


def _sizes(where: str, group: Mapping[str, Any], key: str, default: list[int] | None, minimum: int = 1) -> list[int]:
    if key not in group and default is None:
        raise SuiteError(where, f"has no `{key}`", "it is required", f"add {key} = [...]")
    if key not in group:
        return list(default or [])
    values = group[key] if isinstance(group[key], list) else [group[key]]
    if not values:
        raise SuiteError(f"{where}.{key}", "the axis is empty", "at least one size is accepted")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= MAX_SIZE:
            raise SuiteError(f"{where}.{key}", f"{value!r}", f"integers from {minimum} to {MAX_SIZE} are accepted")
    return values


def _measure(where: str, given: Any, base: Measure) -> Measure:
    if not isinstance(given, dict):
        raise SuiteError(where, f"measure = {given!r}", "a table is accepted")
    names = tuple(entry.name for entry in fields(Measure))
    _known_keys(f"{where}: measure", given, names)
    for key, value in given.items():
        whole = key in ("blocks", "rounds", "memory_mb")
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if key == "error_limit" and not (right and 0 < value <= _MAX_ERROR_LIMIT):
            raise SuiteError(
                f"{where}: measure.{key}",
                f"{value!r}",
                f"above 0, up to {_MAX_ERROR_LIMIT:g}: a suite may only lower it",
            )
        if not right or value < _MEASURE_MINIMUM.get(key, 0):
            kind = "an integer" if whole else "a number"
            raise SuiteError(
                f"{where}: measure.{key}", f"{value!r}", f"{kind} from {_MEASURE_MINIMUM[key]} is accepted"
            )
    return Measure(**{**{name: getattr(base, name) for name in names}, **given})


def _check_narrowing(narrowing: Narrowing, catalogue: Catalogue) -> None:
    checks = (
        ("-g", "gate", narrowing.gates, catalogue.gates),
        ("-i", "implementation", narrowing.implementations, catalogue.implementations),
        ("-m", "mode", narrowing.modes, MODES),
        ("--dtype", "dtype", narrowing.dtypes, DTYPES),
    )
    for flag, kind, values, choices in checks:
        for value in values:
            if value not in choices:
                raise unknown(flag, kind, value, choices, SuiteError)
