"""Simulate log times of two sides, block by block, and apply the decision rule to many suites of them at once.

Everything that a shared machine was seen to do is here: processes that differ, heavy tails, drift, a rare slow mode of a
process, a slot that is slower than the other. The two sides are alike but for `effect`.
"""

from dataclasses import dataclass

import numpy as np

from gatebench.analyze.detection import confirm_blocks, least_to_confirm
from gatebench.analyze.judge import weigh
from gatebench.analyze.sign_flip import spread, untied_tail

ROUNDS = 6  # a quarter of a job's: their median is all that the rule sees
_MEDIAN_VARIANCE = 0.2147  # of the median of six normal values, in variances of one


@dataclass(frozen=True)
class Noise:
    """What a machine does to log times; shares of time unless said otherwise.

    sd: of a block's paired log-ratio, slow mode and slots apart. sample_sd: of one sample around its process.
    tails: degrees of freedom of the processes' Student's t; 0: normal. drift: slope over a block, common to both sides.
    slow_chance: of a process to be in its slow mode, slower by slow. slot: by how much one slot is slower.
    """

    sd: float = 0.02
    sample_sd: float = 0.01
    tails: int = 0
    drift: float = 0.0
    slow_chance: float = 0.0
    slow: float = 0.0
    slot: float = 0.0


NOISES = {
    "normal": Noise(),
    "heavy tails": Noise(tails=3),
    "drift": Noise(drift=0.05),
    "rare slow mode": Noise(slow_chance=5 / 312, slow=0.3),
    "slot bias": Noise(slot=0.005),
    "everything": Noise(tails=4, drift=0.03, slow_chance=5 / 312, slow=0.3, slot=0.003),
}


def log_times(
    noise: Noise, cases: int, blocks: int, effect: float, random: np.random.Generator, order: str = "balanced"
) -> np.ndarray:
    """Return log times by (case, block, round, side); the head is slower by the change `effect`.

    order: balanced (rounds AB and BA, as many of each, shuffled), or base first (all rounds of the base, then the head's).
    """
    process = noise.sd**2 - 2 * _MEDIAN_VARIANCE * noise.sample_sd**2
    size = (cases, blocks, 1, 2)
    if noise.tails:
        processes = random.standard_t(noise.tails, size) * np.sqrt(process / 2 * (noise.tails - 2) / noise.tails)
    else:
        processes = random.normal(0, np.sqrt(process / 2), size)
    times = processes + random.normal(0, noise.sample_sd, (cases, blocks, ROUNDS, 2))
    times += noise.slow * (random.random(size) < noise.slow_chance)
    slower_slot = (np.arange(blocks) + random.integers(2, size=(cases, 1))) % 2  # swapped between blocks
    times += noise.slot * (slower_slot[:, :, None, None] == np.arange(2))
    times += noise.drift * _positions(cases, blocks, order, random) / (2 * ROUNDS)
    times[..., 1] += np.log1p(effect)
    return times


def _positions(cases: int, blocks: int, order: str, random: np.random.Generator) -> np.ndarray:
    """Return when each sample was taken, 0 ... 2 · ROUNDS - 1, by (case, block, round, side)."""
    rounds, sides = np.arange(ROUNDS)[:, None], np.arange(2)
    if order == "base first":
        return np.broadcast_to(sides * ROUNDS + rounds, (cases, blocks, ROUNDS, 2))
    swapped = random.permuted(np.broadcast_to(np.arange(ROUNDS) % 2, (cases, blocks, ROUNDS)), axis=-1)[..., None]
    return 2 * rounds + (sides != swapped)


def differences(times: np.ndarray) -> np.ndarray:
    """Return block log-ratios by (case, block): medians over rounds of the difference within a round."""
    return np.median(times[..., 1] - times[..., 0], axis=-1)


def p_values(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-values for slower and for faster of each row at once; a row without ties and zeros."""
    ranks = np.abs(found).argsort(axis=1).argsort(axis=1) + 1
    total = (ranks * (found > 0)).sum(axis=1)
    tail = untied_tail(found.shape[1])
    return tail[total], tail[len(tail) - 1 - total]


def may_reject(fresh: np.ndarray, plan: dict) -> np.ndarray:
    """Say which rows reject with some number of blocks that a suspect may ask for; of the others any number says neither."""
    counts = range(least_to_confirm(plan), plan["confirm_blocks"]["most"] + 1)
    return np.any([np.minimum(*p_values(fresh[:, :count])) <= plan["alpha_confirm"] / 2 for count in counts], axis=0)


def decide(
    noise: Noise, effect: float, plan: dict, cases: int, random: np.random.Generator, screened: int = 12
) -> np.ndarray:
    """Return each simulated case's verdict of both stages: 1 slower, -1 faster, 0 neither."""
    words = np.zeros(cases, dtype=int)
    chunk = 20_000  # cases at a time: 2 · 6 · 12 values each
    for start in range(0, cases, chunk):
        screen = differences(log_times(noise, min(chunk, cases - start), screened, effect, random))
        suspects = np.flatnonzero(np.minimum(*p_values(screen)) <= plan["alpha_screen"] / 2)
        fresh = differences(log_times(noise, len(suspects), plan["confirm_blocks"]["most"], effect, random))
        open_ones = may_reject(fresh, plan)
        for suspect, values in zip(suspects[open_ones], fresh[open_ones], strict=True):
            blocks = confirm_blocks(spread(screen[suspect]), plan)
            evidence = weigh(values[:blocks], plan["alpha_confirm"])
            words[start + suspect] = evidence.rejects * (1 if evidence.word == "slower" else -1)
    return words
