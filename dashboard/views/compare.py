"""Compare: two sides of anything, case by case: forest plot, verdicts, raw samples, and what speed costs."""

import textwrap

import streamlit as st

from dashboard import compare_trade_off, elements
from dashboard.compare_sides import Comparison, Nothing, choose
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.raw_samples import show_samples
from gatebench.analyze.sides import CHANGE, INCONCLUSIVE, NOT_TOLD_APART, TOLD_APART
from gatebench.report.figures.forest import forest_figure
from gatebench.report.side_words import MEASURES, outcome_text, shown_rows, without_number

CASE = "case"  # the pick of a row
LONGEST_NAME = 120  # letters of a side's name


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show both sides' names, figure, numbers, samples, trade-off, and the command."""
    comparison = choose(store, filters)
    elements.header("Compare", filters.notes)
    if isinstance(comparison, Nothing):
        elements.nothing(comparison.what, comparison.remedy + elements.store_option())
        return
    show_sides(comparison)
    show_effects(comparison)
    show_raw_samples(comparison, filters)
    elements.gate_links([*comparison.sides.rows["gate"].dropna()], dict(comparison.runs[1]))
    compare_trade_off.show(store, filters, comparison)
    elements.ways_out(comparison.command + elements.store_option(), comparison.sides.rows, "compare", filters)


def show_sides(comparison: Comparison) -> None:
    """Say what A and B are, how many cases came out how, and what that is worth."""
    a, b = (elements.plain(textwrap.shorten(name, LONGEST_NAME, placeholder=" …")) for name in comparison.names)
    st.markdown(f"**A** {a}  \n**B** {b}")
    st.markdown(counts(comparison))
    if not comparison.sides.judged and comparison.runs[0]["run_id"] != comparison.runs[1]["run_id"]:
        st.info(comparison.worth, icon=":material/balance:")
    else:
        st.caption(elements.plain(comparison.worth))
    if comparison.problems:
        st.warning(elements.plain("\n".join(comparison.problems)), icon=":material/rule:")


def counts(comparison: Comparison) -> str:
    """Return how many cases have which outcome, B against A, the clear ones first."""
    outcomes = comparison.sides.rows["outcome"].value_counts(sort=False)
    first = [*TOLD_APART, "same", NOT_TOLD_APART, INCONCLUSIVE]
    order = [name for name in first if name in outcomes] + [name for name in outcomes.index if name not in first]
    total = int(outcomes.sum())
    words = [f"**{outcomes[name]}** {outcome_text(str(name), comparison.quantity)}" for name in order]
    what = "verdicts" if comparison.sides.judged else "B against A"
    return f"{total} case{'' if total == 1 else 's'}, {what}: " + ", ".join(words) if words else "No case is left."


def show_effects(comparison: Comparison) -> None:
    """Show the forest plot, its numbers, and the cases without one."""
    sides, quantity = comparison.sides, comparison.quantity
    numbers = quantity != "coverage"  # of which there are verdicts, and nothing to measure
    if numbers:
        alt = f"{MEASURES[sides.measure]} of each case, with intervals"
        # A point of a group's mean has no key.
        pick = (CASE, lambda point: point["customdata"][1] if len(point["customdata"]) > 1 else None)
        elements.figure(forest_figure(sides, quantity), "forest", alt, pick)
        st.caption(legend(comparison))
    shown = sides.rows["value"].notna()
    if shown.any():
        elements.table(shown_rows(sides, quantity), pick=(CASE, list(sides.rows.loc[shown, "key"])))
    without = without_number(sides, quantity)
    if len(without):
        st.markdown("Without a number:" if numbers else "Does the head still compute what the base did?")
        elements.wrapped(without)


def show_raw_samples(comparison: Comparison, filters: Filters) -> None:
    """Show the raw samples of both sides of the picked case: of a click on its point or row, or of the box."""
    rows = comparison.sides.rows.drop_duplicates("key").set_index("key")
    picked = filters.pick(CASE, "Raw samples of a case (or click on its point or row)", list(rows.index))
    if picked is None:
        return
    row = rows.loc[picked]
    for name, run in zip("ab", comparison.runs, strict=True):
        if isinstance(case_id := row[f"case_id_{name}"], str):
            st.markdown(f"**{name.upper()}** {elements.plain(case_id)}")
            show_samples(run, case_id, row[f"side_{name}"])


def legend(comparison: Comparison) -> str:
    """Return what marks and bars mean."""
    sides = comparison.sides
    if sides.judged:
        return (
            "Filled: judged faster or slower; hollow: same or inconclusive. Bars: intervals as the A/B stored them; what is "
            "counted exactly has none. Grey: the margin that counts as same."
        )
    none = "0 %" if sides.measure == CHANGE else "1×"
    method = (
        "Welch's t over the blocks of both runs"
        if comparison.runs[0]["run_id"] != comparison.runs[1]["run_id"]
        else "Student's t over paired blocks"
    )
    return (
        f"Filled: told apart, for {none} lies outside the interval; hollow: not told apart, or inconclusive. "
        f"Bars: 95 % intervals, {method}; cut where they leave the figure. No correction for how many cases there are."
    )
