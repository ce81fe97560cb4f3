"""The same callables measured by pytest-benchmark, pyperf and asv: what each says of two commits, and what that takes.

Each tool runs with its defaults, and in a fair tuning: pinned to one core, with more time than by
default, and with the rule of its own that suits 3 %.
"""

import itertools
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from place import Place
from speed.work import ALL, NAMES


@dataclass(frozen=True)
class Comparison:
    """One job of one tool, of the base and the commit `slower`. log_ratios, slower (what the tool says): by callable."""

    tool: str
    variant: str
    log_ratios: Mapping[str, float]
    slower: Mapping[str, bool]
    seconds_per_case: float

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Session:
    """One measurement of one commit by a tool that stores files."""

    commit: str
    file: Path
    seconds: float


DEFAULT, TUNED = "defaults", "tuned"
THRESHOLD = 0.03
_CORE = "0"
# pyperf starts 20 processes for each callable by default, which takes minutes where they compile: one of each other kind,
# by turns one that the commit slows down and one that it does not.
_FEW = tuple(
    f"{kind}_{NAMES[kind][index]}" for kind, index in (("plain", 0), ("eager", 3), ("jitted", 1), ("memory", 2))
)
# Sessions in order: a comparison is of two that follow each other, so that time between them is as short as a user has it.
_SESSIONS = {
    ("pytest-benchmark", DEFAULT): 5,
    ("pytest-benchmark", TUNED): 3,
    ("pyperf", DEFAULT): 2,
    ("pyperf", TUNED): 2,
}
_ASV_JOBS = 1
_PYTEST = {
    DEFAULT: (),
    TUNED: (
        "--benchmark-max-time=4",
        "--benchmark-disable-gc",
        "--benchmark-warmup=on",
        "--benchmark-warmup-iterations=50",
    ),
}
_PYTEST_RULE = {DEFAULT: "mean", TUNED: "median"}
_PYPERF = {DEFAULT: (), TUNED: ("--processes=3", f"--affinity={_CORE}")}
_PYPERF_RULE = {DEFAULT: (), TUNED: (f"--min-speed={100 * THRESHOLD:g}",)}
_ASV = {
    DEFAULT: (),
    TUNED: ("--interleave-rounds", "--factor", str(1 + THRESHOLD), "-a", "rounds=2", "-a", "repeat=20", "--cpu-affinity", _CORE),
}  # fmt: skip
_SHOWN = {
    "pytest-benchmark": {
        variant: f"--benchmark-compare-fail={_PYTEST_RULE[variant]}:3% {' '.join(options)}".strip()
        for variant, options in _PYTEST.items()
    },
    "pyperf": {variant: " ".join(("compare_to", *_PYPERF_RULE[variant], *_PYPERF[variant])) for variant in _PYPERF},
    "asv": {variant: " ".join(("continuous", *options)) for variant, options in _ASV.items()},
}
TOOLS = tuple(_SHOWN)


def command_of(tool: str, variant: str) -> str:
    """Return what a user would type, in short."""
    return _SHOWN[tool][variant]


def compare_with(place: Place, tool: str, variant: str) -> list[Comparison]:
    """Run a tool's jobs and return its comparisons."""
    if tool == "asv":
        return [_asv(place, variant) for _ in range(_ASV_JOBS)]
    measure, judge = {"pytest-benchmark": (_pytest, _judge_pytest), "pyperf": (_pyperf, _judge_pyperf)}[tool]
    folder = place.folder / "sessions" / f"{tool}-{variant}"
    folder.mkdir(parents=True, exist_ok=True)
    sessions = []
    for number in range(_SESSIONS[tool, variant]):
        commit = ("base", "slower")[number % 2]
        file = folder / f"{number}-{commit}.json"
        file.unlink(missing_ok=True)
        started = time.monotonic()
        measure(place, variant, commit, file)
        sessions.append(Session(commit, file, time.monotonic() - started))
    return [judge(place, variant, *pair) for pair in pairs_of(sessions)]


def pairs_of(sessions: Sequence[Session]) -> list[tuple[Session, Session]]:
    """Return (base, head) of neighbours: a session of the base and one of the slower commit, whichever came first."""
    return [tuple(sorted(pair, key=lambda session: session.commit)) for pair in itertools.pairwise(sessions)]


def _comparison(
    tool: str, variant: str, base: Session, head: Session, times: tuple[Mapping[str, float], ...], slower: Mapping[str, bool]
) -> Comparison:  # fmt: skip
    before, after = times
    ratios = {name: math.log(after[name] / before[name]) for name in before}
    return Comparison(tool, variant, ratios, slower, (base.seconds + head.seconds) / len(before))


# --- pytest-benchmark


def _pytest(place: Place, variant: str, commit: str, file: Path) -> None:
    pinned = ("taskset", "-c", _CORE) if variant == TUNED else ()
    command = [
        *pinned,
        place.python("pytest-benchmark"),
        "-m",
        "pytest",
        "-q",
        "with_pytest.py",
        "-p",
        "no:cacheprovider",
    ]
    place.run([*command, f"--benchmark-json={file}", *_PYTEST[variant]], place.checkout(commit))


def _judge_pytest(place: Place, variant: str, base: Session, head: Session) -> Comparison:
    """Apply --benchmark-compare-fail=<rule>:3%, which fails where the head's is larger by more than 3 %."""
    times = tuple(pytest_times(session.file, _PYTEST_RULE[variant]) for session in (base, head))
    slower = {name: times[1][name] / times[0][name] - 1 > THRESHOLD for name in times[0]}
    return _comparison("pytest-benchmark", variant, base, head, times, slower)


def pytest_times(file: Path, statistic: str) -> dict[str, float]:
    """Return each callable's mean or median in s, from pytest-benchmark's JSON."""
    found = json.loads(file.read_text())["benchmarks"]
    return {benchmark["params"]["name"]: benchmark["stats"][statistic] for benchmark in found}


# --- pyperf


def _pyperf(place: Place, variant: str, commit: str, file: Path) -> None:
    names = _FEW if variant == DEFAULT else ALL
    kept = ",".join(("CALLABLES", "HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"))
    command = [place.python("pyperf"), "with_pyperf.py", "-o", str(file), "--quiet", f"--inherit-environ={kept}"]
    place.run([*command, *_PYPERF[variant]], place.checkout(commit), environment={"CALLABLES": ",".join(names)})


def _judge_pyperf(place: Place, variant: str, base: Session, head: Session) -> Comparison:
    command = [place.python("pyperf"), "-m", "pyperf", "compare_to", str(base.file), str(head.file)]
    text = place.run([*command, *_PYPERF_RULE[variant]], place.folder)
    times = tuple(pyperf_times(session.file) for session in (base, head))
    said = slower_by_pyperf(text)
    return _comparison("pyperf", variant, base, head, times, {name: name in said for name in times[0]})


def pyperf_times(file: Path) -> dict[str, float]:
    """Return each callable's mean over all values of all processes in s, from pyperf's JSON."""
    found = {}
    shared = json.loads(file.read_text())
    for benchmark in shared["benchmarks"]:
        name = benchmark.get("metadata", shared.get("metadata", {}))["name"]
        found[name] = mean(value for run in benchmark["runs"] for value in run.get("values", ()))
    return found


def slower_by_pyperf(text: str) -> set[str]:
    """Return the callables that `pyperf compare_to` lists as slower; what is not significant it hides."""
    return set(re.findall(r"^(\w+): Mean .*x slower$", text, flags=re.M))


# --- asv


def _asv(place: Place, variant: str) -> Comparison:
    command = [place.python("asv"), "-m", "asv", "continuous", "base", "slower", "--no-only-changed", *_ASV[variant]]
    started = time.monotonic()
    text = place.run(command, place.repository, codes=(0, 1))  # 1: something became slower
    seconds = time.monotonic() - started
    said = slower_by_asv(text)
    times = {}
    for commit in ("base", "slower"):
        sha = place.run(["git", "rev-parse", commit], place.repository).strip()
        times[commit] = asv_times(place.repository / ".asv" / "results", sha)
    ratios = {name: math.log(times["slower"][name] / times["base"][name]) for name in ALL}
    return Comparison("asv", variant, ratios, {name: name in said for name in ALL}, seconds / len(ALL))


def asv_times(results: Path, sha: str) -> dict[str, float]:
    """Return each callable's median in s, from asv's stored results of a commit."""
    (file,) = results.glob(f"*/{sha[:8]}-*.json")
    (rows,) = json.loads(file.read_text())["results"].values()
    values, params = rows[0], rows[1][0]
    return {name.strip("'"): value for name, value in zip(params, values, strict=True)}


def slower_by_asv(text: str) -> set[str]:
    """Return the callables that `asv continuous` marks with +."""
    rows = (line.split("|") for line in text.splitlines() if line.startswith("|"))
    return {found[1] for row in rows if row[1].strip() == "+" and (found := re.search(r"\('(\w+)'\)", row[-2]))}
