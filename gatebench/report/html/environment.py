"""Section Environment: on what was measured, with what, and how quiet it was; two runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE
from gatebench.report.environment import environment_rows
from gatebench.report.html.content import Part, Section
from gatebench.report.quantities import is_missing
from gatebench.report.run_facts import part, plugins, run_facts, suite_text
from gatebench.report.table import Block
from gatebench.store.read import Run


def environment_section(runs: Sequence[Run], quiet: Sequence[Block] = ()) -> Section:
    """Return facts of one run, or of two beside each other, and its suite. quiet: what disturbed each of them."""
    names = ("value",) if len(runs) == 1 else ("A", "B")
    told = [_facts(run.manifest) for run in runs]
    rows = tuple(
        (what, *(facts.get(what, "–") for facts in told))
        for what in dict.fromkeys(key for facts in told for key in facts)
    )
    if len(runs) > 1:
        rows = tuple((*row, "" if len(set(row[1:])) == 1 else "differs") for row in rows)
        names = (*names, "")
    blocks = [Block("Machine, software, settings", ("what", *names), rows, numbers=False), *quiet]
    parts = [Part("", blocks=tuple(blocks)), *(_suite(run, name) for run, name in zip(runs, names, strict=False))]
    return Section("environment", "Environment", "On what was this measured, and was it quiet?", parts)


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    told = [f"{plugin['name']} ({plugin['source']})" for plugin in plugins(manifest)]
    machine = environment_rows(part(manifest, "environment"))
    return {**dict(run_facts(manifest)), **machine, "plugins": ", ".join(told) or "none"}


def _suite(run: Run, name: str) -> Part:
    text = suite_text(run.manifest)
    title = f"The suite's text{'' if name == 'value' else f' ({name})'}"
    block = Block(title, (), (), tuple(text.splitlines()), unfolded=True)
    return Part("", blocks=(block,) if text else ())


def quiet_block(compared: pd.DataFrame, samples: pd.DataFrame, title: str) -> Block:
    """Return how quiet the machine was while it measured: unsettled and disturbed cases, dropped samples by reason.

    compared: from analyze.compare.compare. samples: those of the run, of every quantity.
    """
    timed = compared[compared["time_ns"].notna()]
    share = f"{INCONCLUSIVE_ABOVE:.0%}".replace("%", " %")
    rows = [
        ("cases with a time", f"{len(timed)} of {len(compared)}"),
        ("never settled, or the machine was busy (~)", f"{int(timed['unsteady'].eq(True).sum())} of {len(timed)}"),
        (
            f"inconclusive: over {share} of the samples disturbed (!)",
            f"{int(timed['inconclusive'].sum())} of {len(timed)}",
        ),
    ]
    dropped = samples[samples["dropped"].eq(True)]
    rows.append(("samples dropped", f"{len(dropped)} of {len(samples)}"))
    reasons = dropped["reason"].map(lambda reason: "no reason given" if is_missing(reason) else reason).value_counts()
    rows += [(f"dropped: {reason}", f"{count}") for reason, count in reasons.head(8).items()]
    return Block(title, ("what", "how many"), tuple(rows))
