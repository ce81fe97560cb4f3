"""What an A/B measures: the head's suite expanded for both sides, and the controls beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError
from gatebench.run.ab import controls
from gatebench.run.fleet import Key, competitor
from gatebench.run.process import Launch
from gatebench.shape import Shape
from gatebench.suites import Measure, Narrowing, Suite, expand

SIDES = ("base", "head")
CONTROL_EXTRAS = (0.0, 0.0, 0.03)  # of each control: two that are the same, one that is slower
_CONTROL_SHAPE = Shape(batch=1, seq_len=1, input_size=8, hidden_size=8)


@dataclass(frozen=True)
class Contest:
    """Cases in the order of measuring: controls, then one implementation after the other. kinds: case_id -> both, new (head only) or gone (base only).

    refused: side -> case_id -> (status, reason) of what a side never measures. controls: case_id -> share of more work.
    plugins: side -> plugin files as they lay when the side was described.
    """

    cases: tuple[Case, ...]
    kinds: Mapping[str, str]
    controls: Mapping[str, float]
    refused: Mapping[str, Mapping[str, tuple[str, str]]]
    catalogues: Mapping[str, Catalogue]
    measure: Measure
    memory_bytes: int
    seed: int = 0
    plugins: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def measurable(self, case: Case, side: str) -> bool:
        """Say whether a side can be asked for a case."""
        kind = self.kinds[case.case_id]
        known = kind == "both" or kind == ("new" if side == "head" else "gone")
        return known and case.case_id not in self.refused[side]

    def compiles(self, case: Case) -> bool:
        """Say whether a case's first call compiles."""
        entry = self.catalogues["head"].implementations.get(case.implementation, {})
        return bool(entry.get("compiles"))

    def worker_of(self, case: Case) -> Key:
        """Return which worker of a side measures a case: one for each device, thread count and origin.

        Implementations of one origin (plugin files, or an installed package, or GateBench itself) share it, or importing
        torch would take longer than measuring. The two sides are alike in that, so what only one of them has stays apart;
        and nobody's plugin can harm another's cases.
        """
        files = self.plugins_of(case, "head") or self.plugins_of(case, "base")
        given = self.catalogues["head"].packages
        packages = tuple(given[name]["package"] for name in (case.gate, case.implementation) if name in given)
        return (case.device, case.threads, self.kinds[case.case_id], files, packages)

    def plugins_of(self, case: Case, side: str) -> tuple[Path, ...]:
        """Return the plugin files that a side's worker needs for a case, as they lay when the side was described."""
        if case.case_id in self.controls:
            return (controls.FILE,)
        return self.catalogues[side].plugin_files(case)


def make_contest(
    suite: Suite, narrowing: Narrowing, catalogues: Mapping[str, Catalogue], measure: Measure, memory_bytes: int,
    plugins: Mapping[str, tuple[Path, ...]],
) -> Contest:  # fmt: skip
    """Expand the head's suite for both sides; raises UserError for names that the head does not know.

    A case that neither side can measure is no part of the contest.
    """
    base, head = catalogues["base"], catalogues["head"]
    in_head = {case.case_id for case in expand(suite, head, narrowing)}
    both = replace(
        head, gates={**base.gates, **head.gates}, implementations={**base.implementations, **head.implementations}
    )
    kinds: dict[str, str] = {}
    refused: dict[str, dict[str, tuple[str, str]]] = {"base": {}, "head": {}}
    cases = []
    for case in expand(suite, both, narrowing):
        known = {"base": _knows(base, case), "head": case.case_id in in_head}
        refusals = {side: catalogues[side].refusal(case) for side in SIDES if known[side]}
        if all(refusal is not None for refusal in refusals.values()):
            continue
        cases.append(case)
        kinds[case.case_id] = "both" if all(known.values()) else "new" if known["head"] else "gone"
        for side, refusal in refusals.items():
            if refusal is not None:
                refused[side][case.case_id] = refusal
    if all(kinds[case.case_id] == "gone" for case in cases):
        known_here = "a suite with cases that the head can measure is needed"
        raise SuiteError(suite.file, "leaves no case that the head can measure", known_here, "see `gatebench list`")
    extra = control_cases()
    first: dict[Key, int] = {}  # workers are started for one implementation after the other
    for number, case in enumerate(cases):
        first.setdefault(competitor(case), number)
    return Contest(
        (*extra, *sorted(cases, key=lambda case: first[competitor(case)])),
        {**{case.case_id: "both" for case in extra}, **kinds},
        {case.case_id: share for case, share in zip(extra, CONTROL_EXTRAS, strict=True)},
        refused, catalogues, measure, memory_bytes, suite.seed, plugins,
    )  # fmt: skip


def control_cases() -> tuple[Case, ...]:
    """Return the cases of the controls, one for each of CONTROL_EXTRAS; those with the same share differ by seed."""
    found = []
    for number, extra in enumerate(CONTROL_EXTRAS):
        options = (("extra", extra),) if extra else ()
        case = Case(
            gate=controls.GATE, implementation=controls.NAME, shape=_CONTROL_SHAPE, threads=1,
            seed=number, implementation_options=options,
        )  # fmt: skip
        found.append(case)
    return tuple(found)


def _knows(catalogue: Catalogue, case: Case) -> bool:
    """Say whether a side has the case's gate and implementation, with the options that the case names."""
    gate, entry = catalogue.gates.get(case.gate), catalogue.implementations.get(case.implementation)
    if gate is None or entry is None:
        return False
    gate_options, options = gate.get("options", {}), entry.get("options")
    own = options is None or all(name in options for name, _ in case.implementation_options)
    return own and all(name in gate_options for name, _ in case.gate_options)


@dataclass(frozen=True)
class Runtime:
    """How a side's workers are started: its interpreter, and what comes after its checkout on their path."""

    python: str
    path: tuple[Path, ...]
    environment: Mapping[str, str]
    extensions: Path = Path("extensions")  # torch's own builds go here, for each place: they know their sources by path

    def launch(self, place: Path, padding: int = 0, cores: tuple[int, ...] = ()) -> Launch:
        """Return how to start a worker of the checkout at `place`; padding: bytes added to its environment."""
        own = (place, place / "src") if (place / "src").is_dir() else (place,)
        environment: dict[str, Any] = {**self.environment, "GATEBENCH_PADDING": "x" * padding}
        environment["TORCH_EXTENSIONS_DIR"] = f"{self.extensions}-{place.name}"
        return Launch(self.python, (*own, *self.path), place, tuple(environment.items()), cores)
