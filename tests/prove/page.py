"""docs/evidence.md from the evidence: what was found, beside what was aimed at; losses stay in the tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

import replay
from bank import Banked, banks_of
from evidence import Evidence
from place import PLANTED, SLOWER_BY
from rivals import DEFAULT, TOOLS, TUNED, Comparison, command_of

from gatebench.analyze.sign_flip import shift_interval, spread
from gatebench.report.ci.words import percent

STEADY = 0.02  # the spread up to which the aims are stated
_SUITES, _REPEATS = replay.SUITES, 400
_INTRO = """\
# Evidence

`make prove` measured this page; `python tests/prove/prove.py --page docs/evidence docs/evidence.md` makes it again from the
numbers in [evidence/](evidence/). Twenty callables of a few milliseconds, four of each kind (Python, eager torch, Numba,
torch.compile, more bytes than a cache holds), each made of 100 equal units of work. A slow-down of 3 % is three units more:
real work whose size is known. GateBench banked paired blocks of each callable against itself and against itself with 1, 2, 3,
5 and 10 % more work; suites of {cases} cases are drawn from the banks and judged by the functions that `gatebench ab` calls.
[methodology.md](methodology.md#two-versions-of-the-code) says how a verdict comes about.
"""


@dataclass(frozen=True)
class Aim:
    """One aim beside what was found."""

    what: str
    aim: str
    found: str
    met: bool


def page(evidence: Evidence) -> str:
    """Return the page as Markdown; takes some minutes of replays."""
    quiet = banks_of(evidence.blocks[~evidence.blocks["loaded"]])
    loaded = banks_of(evidence.blocks[evidence.blocks["loaded"]])
    parts = [
        _INTRO.format(cases=replay.CASES),
        _where(evidence.about),
        _aims(quiet, evidence),
        _power_by_effect(quiet),
        _callables(quiet),
        _under_load(loaded),
        _rivals(quiet, evidence),
        _live(evidence),
        _reading(evidence),
    ]
    return "\n".join(parts)


def _where(about: dict) -> str:
    machine, versions = about["machine"], about["versions"]
    minutes = sum(about["seconds"].values()) / 60
    named = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "numba", *TOOLS))
    return (
        f"{machine['device_name']}, {machine['cores']} cores of a virtual machine that others share, {machine['system']}; "
        f"{about['date']}, {minutes:.0f} minutes. {named}. One thread for everything.\n"
    )


# --- GateBench


def _alike(banks: Iterable[Banked]) -> list[Banked]:
    return [bank for bank in banks if bank.effect == 0.0]


def _steady(banks: Sequence[Banked]) -> list[Banked]:
    """Return the banks of the callables whose spread is within what the aims are stated for."""
    names = {bank.name for bank in _alike(banks) if spread(bank.pairs.differences) <= STEADY}
    return [bank for bank in banks if bank.name in names]


def _aims(banks: Sequence[Banked], evidence: Evidence) -> str:
    steady = _steady(banks)
    alarms = replay.false_alarms(_alike(banks), _SUITES, seed=1)
    found = {effect: _mean_power(steady, effect) for effect in (0.02, 0.03)}
    covered = replay.coverage(_alike(steady), _REPEATS, seed=2)
    each = evidence.about["seconds_per_case_and_block"]
    unchanged = each * mean(replay.blocks_taken(bank, 50, seed=3) for bank in _alike(steady))
    slower = each * mean(replay.blocks_taken(bank, 50, seed=4) for bank in steady if bank.effect == SLOWER_BY)
    own = median(replay.detectable(bank) for bank in _alike(banks))
    best = min(median(sizes.values()) for _, _, sizes in _rival_sizes(evidence))
    names = len(_alike(steady))
    aims = [
        Aim(f"suites of {replay.CASES} cases alike with a false alarm, of {alarms.suites:,} (all callables)", "under 1 %", f"{alarms.with_alarm} ({percent(alarms.with_alarm / alarms.suites)})", alarms.with_alarm < 0.01 * alarms.suites),
        Aim(f"+3 % found ({names} callables with a spread up to 2 %)", "99 %", percent(found[0.03]), found[0.03] >= 0.99),
        Aim(f"+2 % found ({names} callables)", "80 %", percent(found[0.02]), found[0.02] >= 0.80),
        Aim(f"95 % intervals that cover ({names} callables, alike)", "94 to 96 %", percent(covered), 0.94 <= covered <= 0.96),
        Aim("seconds per unchanged case", "8 s", f"{unchanged:.1f} s", unchanged <= 8),
        Aim("seconds per slower case", "20 s", f"{slower:.1f} s", slower <= 20),
        Aim("smallest change that is detectable, median of all callables, beside the best of the others at equal time", "half", f"{percent(own)} beside {percent(best)}", own <= best / 2),
    ]  # fmt: skip
    return _table(("What", "Aim", "Found", ""), [(aim.what, aim.aim, aim.found, "met" if aim.met else "**missed**") for aim in aims], "In short")  # fmt: skip


def _mean_power(banks: Iterable[Banked], effect: float) -> float:
    return mean(replay.power(bank, _REPEATS, seed=5) for bank in banks if bank.effect == effect)


def _power_by_effect(banks: Sequence[Banked]) -> str:
    rows = []
    steady = _steady(banks)
    for effect in PLANTED:
        planted = [bank for bank in steady if bank.effect == effect]
        rows.append((
            percent(effect, sign=True),
            percent(median(_estimate(bank) for bank in planted), sign=True),
            percent(_mean_power(steady, effect)),
            percent(_mean_power(banks, effect)),
            percent(replay.coverage(planted, _REPEATS, seed=6)),
        ))  # fmt: skip
    head = (
        "Planted", "Found, median of callables", f"Judged slower ({len(_alike(steady))} callables, spread ≤ 2 %)",
        f"Judged slower (all {len(_alike(banks))})", "Intervals that cover",
    )  # fmt: skip
    return _table(head, rows, "Power by effect")


def _estimate(bank: Banked) -> float:
    return float(replay.np.expm1(shift_interval(bank.pairs.differences, 0.95)[0]))


def _callables(banks: Sequence[Banked]) -> str:
    planted = {bank.name: bank for bank in banks if bank.effect == SLOWER_BY}
    rows = []
    for bank in _alike(banks):
        slower = planted[bank.name]
        rows.append((
            f"`{bank.name}`", len(bank.pairs), percent(spread(bank.pairs.differences)), percent(_estimate(bank), sign=True),
            percent(_estimate(slower), sign=True), percent(replay.power(slower, _REPEATS, seed=5)), percent(replay.detectable(bank)),
            percent(bank.pairs.disturbed),
        ))  # fmt: skip
    head = ("Callable", "Paired blocks", "Spread", "Alike: change", "Planted +3 %: change", "judged slower", "Detectable", "Disturbed samples")  # fmt: skip
    return _table(head, rows, "Callables, on the quiet machine")


def _under_load(banks: Sequence[Banked]) -> str:
    alike, planted = _alike(banks), [bank for bank in banks if bank.effect == SLOWER_BY]
    rows = []
    for name, undisturbed in (("as `ab` judges", False), ("if it ignored the load", True)):
        alarms = replay.false_alarms(alike, _SUITES, seed=7, undisturbed=undisturbed)
        found = mean(replay.power(bank, _REPEATS, seed=8, undisturbed=undisturbed) for bank in planted)
        decided = 1 - alarms.verdicts["inconclusive"] / sum(alarms.verdicts.values())
        rows.append((name, f"{alarms.with_alarm} of {alarms.suites:,}", percent(found), percent(decided)))
    disturbed = percent(mean(bank.pairs.disturbed for bank in alike))
    wide = percent(median(spread(bank.pairs.differences) for bank in alike))
    text = (
        f"Beside one process that keeps a core busy, {disturbed} of the samples are disturbed; the spread is {wide} (median). "
        "Cases of which more than 20 % of the samples are disturbed are inconclusive, and a job that leaves too much "
        "undecided is not green: it says so instead of guessing.\n"
    )
    head = ("Verdicts", f"Suites of {replay.CASES} cases alike with a false alarm", "+3 % found", "Cases alike that are decided")  # fmt: skip
    return _table(head, rows, "Under load", text)


# --- the others


def _of(evidence: Evidence, tool: str, variant: str) -> list[Comparison]:
    return [found for found in evidence.comparisons if (found.tool, found.variant) == (tool, variant)]


def _rival_sizes(evidence: Evidence) -> list[tuple[str, str, dict[str, float]]]:
    """Return what each tool could tell at best, at as much time as GateBench takes for a case that is unchanged."""
    seconds = evidence.about["seconds_per_case_and_block"] * replay.PLAN["screen_blocks"]["default"]
    return [
        (tool, variant, replay.rival_detectable(_of(evidence, tool, variant), seconds))
        for tool in TOOLS for variant in (DEFAULT, TUNED)
    ]  # fmt: skip


def _rivals(banks: Sequence[Banked], evidence: Evidence) -> str:
    own = replay.false_alarms(_alike(banks), _SUITES, seed=1)
    seconds = evidence.about["seconds_per_case_and_block"] * replay.PLAN["screen_blocks"]["default"]
    rows: list[Sequence[object]] = [(
        "GateBench", "`gatebench ab`", percent(own.with_alarm / own.suites), percent(_mean_power(banks, SLOWER_BY)),
        f"{seconds:.1f} s", percent(median(replay.detectable(bank) for bank in _alike(banks))),
    )]  # fmt: skip
    for tool, variant, sizes in _rival_sizes(evidence):
        comparisons = _of(evidence, tool, variant)
        found, of = replay.rival_found(comparisons)
        alike = [comparison for comparison in comparisons if comparison.effect == 0.0]
        rows.append((
            f"{tool}, {variant}", f"`{command_of(tool, variant)}`", percent(replay.rival_alarms(comparisons, _SUITES, seed=9)),
            f"{percent(found / of)} ({found} of {of})", f"{mean(comparison.seconds_per_case for comparison in alike):.1f} s",
            percent(median(sizes.values())),
        ))  # fmt: skip
    text = (
        "The same callables, the same hour, by turns with the blocks above; each tool in an environment of its own. A tool's "
        "false alarms are cases of identical code that it reports as slower; its suites are drawn from the cases that it "
        "compared. Detectable: the smallest change that a tool's own estimates could tell in 80 % at GateBench's false-alarm "
        "rate and in GateBench's time. That grants the others normal noise, a threshold of its own for each callable, and "
        "noise that falls with the root of time, none of which their rules have.\n\n"
        "pyperf with its defaults starts 20 processes for each callable: it measured one of each kind.\n"
    )
    head = ("Tool", "Rule", f"Suites of {replay.CASES} alike with a false alarm", "+3 % found", "Time per case", "Detectable, median")  # fmt: skip
    return _table(head, rows, "Beside other tools", text)


def _live(evidence: Evidence) -> str:
    titles = {"words": "differ in a README", "slower": "differ by 3 % of work in every callable"}
    rows = []
    for head, found in evidence.live.groupby("head"):
        cases = found[found["name"] != "control"]
        counts = ", ".join(f"{count} {word}" for word, count in cases["verdict"].value_counts().items())
        covered = cases["ci_low"].le(0.03) & cases["ci_high"].ge(0.03) if head == "slower" else cases["ci_low"].le(0) & cases["ci_high"].ge(0)  # fmt: skip
        controls = ", ".join(found.loc[found["name"] == "control", "verdict"])
        rows.append((titles[str(head)], counts, controls, f"{covered.sum()} of {len(cases)}", f"{found['seconds'].iloc[0] / len(cases):.1f} s"))  # fmt: skip
    head = ("Two commits that", "Verdicts", "Controls (alike, alike, +3 %)", "Intervals that cover", "Time per case")
    text = "`gatebench ab base HEAD suites/all.toml` between real commits of a repository with these callables.\n"
    return _table(head, rows, "Live", text)


def _reading(evidence: Evidence) -> str:
    blocks = evidence.blocks[~evidence.blocks["loaded"]].groupby(["name", "effect"]).size()
    few, many = blocks.min(), blocks.max()
    return (
        "## What this does not say\n\n"
        f"- Replays draw, with replacement, from {few} to {many} blocks of each callable: they cannot show noise that the bank did not meet. "
        "Sides that are alike are swapped by a fresh coin in each drawn block, so that the truth is exactly no change; a place or a side "
        "that is always slower would show in the column `Alike: change`.\n"
        "- Of planted cases, intervals are held against the bank's own shift, not against the nominal work.\n"
        "- Seconds per case are those of a suite with twenty or a hundred cases in five implementations; each implementation starts two "
        "processes in every block, so that a suite of one case per implementation takes longer.\n"
        "- Other tools had few sessions: their shares are known to some percent, not more.\n"
        "- One machine, one day.\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str, text: str = "") -> str:
    lines = [f"## {title}", "", *([text] if text else []), "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
