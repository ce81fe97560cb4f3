"""The raw timing samples of one case in the order they were measured, and why some were dropped."""

import re

import numpy as np
import pandas as pd

STAGES = ("calibrate", "run", "screen", "confirm", "control")  # in the order that a run goes through them
KEPT, DISTURBED, DROPPED = "kept", "kept all the same", "dropped"
PROCESS = ["stage", "block", "side"]  # what one process measured without a break
_ORDER = ["stage_place", "block", "round", "position", "side"]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def in_order(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the timing samples of one case in the order they were measured: by stage, block, round and place in the round.

    samples: columns of the table `samples`, all sides of one case. Columns added:

        place    1, 2, ... over all sides, dropped ones counted
        time_ns  time of one call: of CUDA events where there are some, else of the host clock
        state    kept; kept all the same (disturbed, and nothing quieter was there); dropped
    """
    times = samples[(samples["quantity"] == "time").to_numpy()]
    dropped = times["dropped"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    wall = times["wall_ns"].astype(float)
    event = times["event_ns"].astype(float) if "event_ns" in times else pd.Series(np.nan, index=times.index)
    places = {name: place for place, name in enumerate(STAGES)}
    found = times.assign(
        time_ns=event.fillna(wall), state=np.where(dropped, DROPPED, np.where(times["reason"].notna(), DISTURBED, KEPT)),
        stage_place=times["stage"].map(lambda name: places.get(name, len(places))),
    )  # fmt: skip
    found = found.sort_values(_ORDER, kind="stable", ignore_index=True).drop(columns="stage_place")
    return found.assign(place=np.arange(1, len(found) + 1))


def reasons(ordered: pd.DataFrame) -> pd.DataFrame:
    """Return how many samples have which reason, most first: columns state, reason, samples.

    ordered: from `in_order`. Reasons that differ in numbers only are one, with the range of each number:
    `steal: 6 to 25 % of the machine's CPU time`.
    """
    rows = []
    said = ordered[ordered["state"] != KEPT]
    texts = said["reason"].where(said["reason"].notna(), "no reason given").astype(str)
    for (state, _), group in texts.groupby([said["state"], texts.str.replace(_NUMBER, "0", regex=True)], sort=False):
        rows.append((state, _with_ranges(list(dict.fromkeys(group))), len(group)))
    table = pd.DataFrame(rows, columns=pd.Index(["state", "reason", "samples"]))
    return table.sort_values("samples", ascending=False, kind="stable", ignore_index=True)


def _with_ranges(texts: list[str]) -> str:
    """Return texts that differ in numbers only as one, each number with its range."""
    words = _NUMBER.split(texts[0])
    numbers = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    ranges = [sorted(set(found), key=float) for found in numbers]
    spans = [found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}" for found in ranges]
    return "".join(word + span for word, span in zip(words, [*spans, ""], strict=True))
