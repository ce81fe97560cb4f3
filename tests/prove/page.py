"""docs/evidence.md from the evidence: what was found, beside what was aimed at; losses stay in the tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
import replay
from bank import Banked, banks_of
from evidence import Evidence
from place import PLANTED, SLOWED, SLOWER_BY
from replay import Alarms
from rivals import DEFAULT, TOOLS, TUNED, Comparison, command_of

from gatebench.analyze.sign_flip import shift_interval, spread
from gatebench.report.ci.words import percent

STEADY = 0.02  # the spread up to which the aims are stated
_SUITES, _REPEATS = replay.SUITES, 400
_MET = {True: "met", False: "**missed**", None: "not contradicted: too few to tell"}
_INTRO = """\
# Evidence

`make prove` measured this page; `python tests/prove/prove.py --page docs/evidence docs/evidence.md` makes it again from the
numbers in [evidence/](evidence/). Twenty callables of a few milliseconds, four of each kind (Python, eager torch, Numba,
torch.compile, more bytes than a cache holds), each made of 100 equal units of work. A slow-down of 3 % is three units more:
real work whose size is known. GateBench banked paired blocks of each callable against itself, and against itself with 1, 2, 3,
5 and 10 % more work; suites of {cases} cases are drawn from the banks and judged by the functions that `gatebench ab` calls, with
as many blocks as `ab` takes after a `gatebench calibrate`: 12 or more to screen, by the callable's spread. Without one it takes 12.
[methodology.md](methodology.md#two-versions-of-the-code) says how a verdict comes about.
"""


@dataclass(frozen=True)
class Aim:
    """One aim beside what was found. met: None where what was found agrees with the aim, and with others too."""

    what: str
    aim: str
    found: str
    met: bool | None


class Numbers:
    """What several tables show, reckoned once."""

    def __init__(self, evidence: Evidence) -> None:
        self.banks = banks_of(evidence.blocks[~evidence.blocks["loaded"]])
        self.loaded = banks_of(evidence.blocks[evidence.blocks["loaded"]])
        self.alike = _alike(self.banks)
        self.steady = {name for name, wide in spreads(self.alike).items() if wide <= STEADY}
        self.alarms = replay.false_alarms(self.alike, _SUITES, seed=1)
        noise = spreads(self.alike)
        self.judged = {
            (bank.name, bank.effect): replay.judged(bank, noise[bank.name], _REPEATS, seed=2) for bank in self.banks
        }
        self.detectable = {bank.name: replay.detectable(bank) for bank in self.alike}
        each = evidence.about["seconds_per_case_and_block"]
        self.unchanged_s = each * mean(verdict.blocks for verdict in self._of(0.0))
        self.slower_s = each * mean(verdict.blocks for verdict in self._of(SLOWER_BY))

    def share(self, effect: float, word: str, steady: bool = False) -> float:
        """Return the share of planted cases judged so, over the steady callables or all."""
        return replay.share(self._of(effect, steady), word)

    def _of(self, effect: float, steady: bool = False) -> list[replay.Verdict]:
        chosen = (
            verdicts for (name, planted), verdicts in self.judged.items() if planted == effect and (name in self.steady or not steady)
        )  # fmt: skip
        return [verdict for verdicts in chosen for verdict in verdicts]


def page(evidence: Evidence) -> str:
    """Return the page as Markdown; takes some minutes of replays."""
    numbers = Numbers(evidence)
    return "\n".join((
        _INTRO.format(cases=replay.CASES), _where(evidence.about), _aims(numbers, evidence), _power_by_effect(numbers),
        _callables(numbers), _as_they_came(numbers), _under_load(numbers), _rivals(numbers, evidence), _live(evidence), _reading(evidence),
    ))  # fmt: skip


def _where(about: dict) -> str:
    machine, versions = about["machine"], about["versions"]
    minutes = sum(about["seconds"].values()) / 60
    named = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "numba", *TOOLS))
    return (
        f"{machine['device_name']}, {machine['cores']} cores of a virtual machine that others share, {machine['system']}; "
        f"{about['date']}, {minutes:.0f} minutes. {named}. One thread for everything.\n"
    )


# --- GateBench


def spreads(alike: Iterable[Banked]) -> dict[str, float]:
    """Return the spread of each callable's blocks, by name."""
    return {bank.name: spread(bank.pairs.differences) for bank in alike}


def _alike(banks: Iterable[Banked]) -> list[Banked]:
    return [bank for bank in banks if bank.effect == 0.0]


def _aims(numbers: Numbers, evidence: Evidence) -> str:
    alarms, steady = numbers.alarms, len(numbers.steady)
    found = {effect: numbers.share(effect, "slower", steady=True) for effect in (0.02, SLOWER_BY)}
    covered, windows = replay.covered(bank for bank in numbers.banks if bank.name in numbers.steady)
    low, high = replay.share_interval(covered, windows)
    tool, own, best = _best_rival(numbers, evidence)
    aims = [
        Aim(f"suites of {replay.CASES} cases alike with a false alarm", "under 1 %", _alarms(alarms), alarms.with_alarm < 0.01 * alarms.suites),
        Aim(f"+3 % found, {steady} callables whose spread is up to 2 %", "99 %", percent(found[SLOWER_BY]), found[SLOWER_BY] >= 0.99),
        Aim(f"+2 % found, the same {steady}", "80 %", percent(found[0.02]), found[0.02] >= 0.80),
        Aim(f"95 % intervals that cover the planted work, the same {steady}", "94 to 96 %", f"{covered} of {windows} ({percent(low)} to {percent(high)})", None if low <= 0.96 and high >= 0.94 else False),
        Aim("seconds per unchanged case", "8 s", f"{numbers.unchanged_s:.1f} s", numbers.unchanged_s <= 8),
        Aim("seconds per slower case", "20 s", f"{numbers.slower_s:.1f} s", numbers.slower_s <= 20),
        Aim(f"smallest detectable change beside that of the best other tool ({tool}), median of its callables, equal time", "half", f"{percent(own)} beside {percent(best)}", own <= best / 2),
    ]  # fmt: skip
    return _table(("What", "Aim", "Found", ""), [(aim.what, aim.aim, aim.found, _MET[aim.met]) for aim in aims], "In short")  # fmt: skip


def _alarms(alarms: Alarms) -> str:
    return f"{alarms.with_alarm} of {alarms.suites:,}"


def _power_by_effect(numbers: Numbers) -> str:
    rows = []
    for effect in sorted(share for shares in PLANTED.values() for share in shares):
        planted = [bank for bank in numbers.banks if bank.effect == effect and bank.name in numbers.steady]
        rows.append((
            percent(effect, sign=True), len(planted[0].pairs) if planted else 0, percent(median(_estimate(bank) for bank in planted), sign=True),
            percent(numbers.share(effect, "slower", steady=True)), percent(numbers.share(effect, "slower")),
            percent(numbers.share(effect, "same", steady=True)), percent(numbers.share(effect, "same")),
        ))  # fmt: skip
    steady, every = f"{len(numbers.steady)} callables with a spread up to 2 %", f"all {len(numbers.alike)}"
    head = (
        "Planted", "Banked blocks of each", "Found, median", f"`slower`, {steady}", f"`slower`, {every}", f"`same`, {steady}", f"`same`, {every}",
    )  # fmt: skip
    text = (
        "What is not `slower` or `same` is `inconclusive` (or, rarely, `faster`). The margin is 3 %: less than that may rightly be `same`, as "
        "long as nothing confirms it. A bank of few blocks stands for more or less than was planted, and replays judge the bank: with 6 blocks, a "
        "larger effect can be found less often than a smaller one.\n"
    )
    return _table(head, rows, "Power by effect", text)


def _estimate(bank: Banked) -> float:
    return float(np.expm1(shift_interval(bank.pairs.differences, 0.95)[0]))


def _callables(numbers: Numbers) -> str:
    planted = {bank.name: bank for bank in numbers.banks if bank.effect == SLOWER_BY}
    rows = [(
        f"`{bank.name}`", len(bank.pairs), percent(spread(bank.pairs.differences)), percent(_estimate(bank), sign=True),
        percent(_estimate(planted[bank.name]), sign=True), percent(replay.share(numbers.judged[bank.name, SLOWER_BY], "slower")),
        percent(numbers.detectable[bank.name]), percent(bank.pairs.disturbed),
    ) for bank in numbers.alike]  # fmt: skip
    head = ("Callable", "Paired blocks alike", "Spread", "Alike: change", "Planted +3 %: change", "judged slower", "Detectable", "Disturbed samples")  # fmt: skip
    text = (
        "Detectable: by the spread alone, for a slow-down that is really there. Where the planted blocks themselves came out at less than "
        "that, `slower` is rarely said.\n"
    )
    return _table(head, rows, "Callables, on the quiet machine", text)


def _as_they_came(numbers: Numbers) -> str:
    small = [bank for bank in numbers.alike if replay.p_two_sided(bank) <= 0.05]
    least = min(replay.p_two_sided(bank) for bank in numbers.alike)
    words = [replay.verdict_of(bank) for bank in numbers.alike]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))
    few = [bank for bank in numbers.banks if bank.effect > 0]
    covered, windows = replay.covered(numbers.alike)
    planted, of = replay.covered(few)
    return (
        "## The blocks as they came\n\n"
        "In the replays each drawn block's sides are swapped by a coin, so that the truth is no change: with that, the rate above is a property of "
        "the rule alone. Whether the sides of a real job are exchangeable, only blocks that nobody drew or swapped can show:\n\n"
        f"- judged as one job, the first 12 blocks to screen and the rest to confirm (of which there are fewer than `ab` takes), the {len(words)} callables alike are: {counts};\n"
        f"- over all its blocks, {len(small)} of {len(words)} callables differ from no change at 5 % (one is expected); the smallest p-value is {least:.2g};\n"
        f"- of intervals from 12 blocks, {covered} of {windows} cover no change where both sides are alike, and {planted} of {of} the planted work.\n"
    )


def _under_load(numbers: Numbers) -> str:
    alike, planted = _alike(numbers.loaded), [bank for bank in numbers.loaded if bank.effect == SLOWER_BY]
    noise = spreads(alike)
    rows = []
    for name, undisturbed in (("as `ab` judges", False), ("if it ignored the load", True)):
        alarms = replay.false_alarms(alike, _SUITES, seed=7, undisturbed=undisturbed)
        found = mean(
            replay.share(replay.judged(bank, noise[bank.name], _REPEATS, seed=8, undisturbed=undisturbed), "slower")
            for bank in planted
        )
        decided = 1 - alarms.verdicts["inconclusive"] / sum(alarms.verdicts.values())
        rows.append((name, _alarms(alarms), percent(found), percent(decided)))
    disturbed = percent(mean(bank.pairs.disturbed for bank in alike))
    wide = percent(median(noise.values()))
    text = (
        f"Beside one process that keeps a core busy, {disturbed} of the samples are disturbed; the spread is {wide} (median of callables, "
        f"from {len(alike[0].pairs)} blocks each: too few to compare it with the quiet one). "
        "Cases of which more than 20 % of the samples are disturbed are inconclusive, and a job that leaves too much "
        "undecided is not green: it says so instead of guessing.\n"
    )
    head = ("Verdicts", f"Suites of {replay.CASES} cases alike with a false alarm", "+3 % found", "Cases alike that are decided")  # fmt: skip
    return _table(head, rows, "Under load", text)


# --- the others


def _of(evidence: Evidence, tool: str, variant: str) -> list[Comparison]:
    return [found for found in evidence.comparisons if (found.tool, found.variant) == (tool, variant)]


def _best_rival(numbers: Numbers, evidence: Evidence) -> tuple[str, float, float]:
    """Return the tool that can tell the smallest change, and GateBench's and its median over the callables that it measured."""
    found = []
    for tool in TOOLS:
        for variant in (DEFAULT, TUNED):
            sizes = replay.rival_detectable(_of(evidence, tool, variant), numbers.slower_s)
            own = median(numbers.detectable[name] for name in sizes)
            found.append((f"{tool}, {variant}", own, median(sizes.values())))
    return max(found, key=lambda row: row[1] / row[2])


def _rivals(numbers: Numbers, evidence: Evidence) -> str:
    words = numbers.alarms.verdicts
    wrong = words["slower"] + words["faster"]
    live = evidence.live[evidence.live["name"] != "control"]
    slowed = live["name"].isin(SLOWED)
    rows: list[Sequence[object]] = [(
        "GateBench, replayed", "`gatebench ab`", len(numbers.alike), f"{wrong} of {sum(words.values()):,}",
        percent(numbers.share(SLOWER_BY, "slower")), f"{numbers.unchanged_s:.1f} s, slower ones {numbers.slower_s:.1f} s",
        percent(median(numbers.detectable.values())),
    ), (
        "GateBench, live", "the same, once", len(live), _count((live.loc[~slowed, "verdict"].eq("slower").sum(), (~slowed).sum())),
        _count((live.loc[slowed, "verdict"].eq("slower").sum(), slowed.sum())), f"{live['seconds'].iloc[0] / len(live):.1f} s", "",
    )]  # fmt: skip
    for tool in TOOLS:
        for variant in (DEFAULT, TUNED):
            comparisons = _of(evidence, tool, variant)
            sizes = replay.rival_detectable(comparisons, numbers.slower_s)
            rows.append((
                f"{tool}, {variant}", f"`{command_of(tool, variant)}`", len(sizes), _count(replay.said_slower(comparisons, slowed=False)),
                _count(replay.said_slower(comparisons, slowed=True)), f"{mean(found.seconds_per_case for found in comparisons):.1f} s",
                percent(median(sizes.values())),
            ))  # fmt: skip
    text = (
        "The same callables, the same day, by turns with the blocks above; each tool in an environment of its own, comparing a commit with "
        f"one that slows {len(SLOWED)} of the 20 down by 3 %. A false alarm is a callable that was not changed and is reported as slower; in "
        "brackets the 95 % interval of the share, as if its comparisons were independent (those of one session are less than that). Replays "
        "swap sides by a coin, so beside the other tools' rows stands that of the live job, where nothing was swapped. A share of 1 % of the cases is a false alarm in 87 % of suites of 200. Detectable: the "
        "smallest change that a tool's own estimates could tell in 80 % at GateBench's false-alarm rate, in the time that GateBench takes "
        "for a slower case. This favours the other tools: normal noise is assumed, a threshold for each callable and, where they took less time, "
        "noise that falls with its root; none of their rules has that.\n\n"
        "pyperf with its defaults starts 20 processes for each callable: it measured four of them.\n"
    )
    head = ("Tool", "Rule", "Callables", "Cases alike reported", "+3 % found", "Time per case", "Detectable, median")
    return _table(head, rows, "Beside other tools", text)


def _count(found: tuple[int, int]) -> str:
    low, high = replay.share_interval(*found)
    return f"{found[0]} of {found[1]} ({percent(low)} to {percent(high)})"


def _live(evidence: Evidence) -> str:
    rows = []
    cases = evidence.live[evidence.live["name"] != "control"]
    for title, slowed in (("not changed", False), ("slowed down by 3 %", True)):
        found = cases[cases["name"].isin(SLOWED) == slowed]
        truth = SLOWER_BY if slowed else 0.0
        counts = ", ".join(f"{count} {word}" for word, count in found["verdict"].value_counts().items())
        covered = found["ci_low"].le(truth) & found["ci_high"].ge(truth)
        rows.append((title, counts, f"{covered.sum()} of {len(found)}"))
    controls = ", ".join(evidence.live.loc[evidence.live["name"] == "control", "verdict"])
    seconds = evidence.live["seconds"].iloc[0] / len(cases)
    text = (
        "`gatebench ab base slower suites/all.toml`, once, between the two commits. Controls (alike, alike, +3 %): "
        f"{controls}. {seconds:.1f} s per case.\n"
    )
    return _table(("Callables", "Verdicts", "Intervals that cover the truth"), rows, "Live", text)


def _reading(evidence: Evidence) -> str:
    blocks = evidence.blocks.groupby(["name", "effect", "loaded"]).size()
    return (
        "## What this does not say\n\n"
        f"- Replays draw, with replacement, from {blocks.min()} to {blocks.max()} blocks of each callable and effect: they cannot show noise that the bank "
        "did not meet, and power near a threshold moves with the bank's own luck: one odd block of six is drawn again and again.\n"
        "- Seconds per case are those of a suite of twenty cases, checkouts, controls and the import of torch in each block's processes and "
        "all: a suite with more cases takes less for each.\n"
        "- Other tools had few sessions.\n"
        "- One machine, one day.\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str, text: str = "") -> str:
    lines = [f"## {title}", "", *([text] if text else []), "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
