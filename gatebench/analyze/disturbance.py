"""How much of a case others disturbed: the hypervisor's steal, or other processes, as its samples tell."""

import pandas as pd

INCONCLUSIVE_ABOVE = 0.2  # share of disturbed samples; beyond it what is left is no fair draw of the case's times
KEYS = ["run_id", "case_id", "side"]


def disturbed_shares(samples: pd.DataFrame) -> dict[tuple, float]:
    """Return the share of the timing samples of each (run_id, case_id, side) that something foreign disturbed, 0 to 1.

    Dropped ones count, and those that were kept all the same because nothing quieter was there: both have a reason.
    """
    times = samples[samples["quantity"] == "time"]
    dropped = times["dropped"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    found = times[KEYS].assign(disturbed=dropped | times["reason"].notna().to_numpy())
    shares = found.groupby(KEYS, sort=False)["disturbed"].mean()
    return {key: float(share) for key, share in shares.items()}
