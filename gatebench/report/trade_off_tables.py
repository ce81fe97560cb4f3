"""What a trade-off shows as text: its points as a table, what has no point and why, and what the marks mean."""

import pandas as pd

from gatebench.report.figures.trade_off import AGAINST, SPEEDS, against_text, speed_text
from gatebench.report.quantities import is_missing

AGAINST_WORDS = {key: name.split(" (")[0] for key, name in AGAINST.items()}


def legend(against: str) -> str:
    """Say what the marks of figures.trade_off are."""
    of_y = {"half_life": "bars upright: lower to upper decile over seeds and batch rows; "}.get(against, "")
    return (
        "Filled: on the frontier, for no other is as good in both and better in one, by the estimates; hollow: beaten. "
        f"Bars along: 95 % intervals over blocks; {of_y}dotted: what can be had at each speed."
    )


def numbers(points: pd.DataFrame, against: str, speed: str = "time") -> pd.DataFrame:
    """Return the points that figures.trade_off draws as text, the fastest first; points: from its trade_off_points."""
    shown = points[points["missing"] == ""].sort_values("x", ascending=speed == "time")
    rows = list(shown.itertuples())
    interval = " (deciles)" if against == "half_life" else ""
    return pd.DataFrame(
        {
            "implementation": shown["name"],
            f"{SPEEDS[speed]} (95 %)": [speed_text(row, speed) for row in rows],
            "blocks": ["–" if is_missing(row.blocks) else str(int(row.blocks)) for row in rows],
            f"{AGAINST_WORDS[against]}{interval}": [against_text(row, against) for row in rows],
            "frontier": ["yes" if row.frontier else "no" for row in rows],
        }
    )


def reasons(points: pd.DataFrame) -> pd.DataFrame:
    """Return who has no point, and why; a row per reason."""
    missing = points[points["missing"] != ""]
    gathered = missing.groupby("missing", sort=False)["name"].agg(lambda names: ", ".join(dict.fromkeys(names)))
    return pd.DataFrame({"implementation": gathered.to_numpy(), "why": gathered.index})
