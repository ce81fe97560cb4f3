"""Hand-made rows of stability.parquet: one metric a row, long form."""

import pandas as pd


def long_rows(**more):
    """Return one row with every column; None where it says nothing."""
    base = dict.fromkeys(("task", "train_step", "part", "lag", "index", "label", "reason", "standard_error"))
    base |= {
        "gate": "lstm", "options": "{}", "init": "torch", "inputs": "normal", "dtype": "float32", "seq_len": 8,
        "input_size": 4, "hidden_size": 4, "batch": 2, "seed": 0, "probe": "ones", "unit": "nats", "status": "ok",
    }  # fmt: skip
    return base | more


def profile(seeds=2, lags=9, slope=-1.0, **more):
    """Return log_gradient_norm with deciles and bound, nats, for some seeds."""
    shifts = {"log_gradient_norm": 0, "log_gradient_norm_p10": -1, "log_gradient_norm_p90": 1, "log_norm_bound": 2}
    return [
        long_rows(metric=metric, lag=lag, value=slope * lag + shift * (lag > 0) + 0.1 * seed, seed=seed, **more)
        for metric, shift in shifts.items() for seed in range(seeds) for lag in range(lags)
    ]  # fmt: skip


def half_lives(*values, **more):
    """Return the half-lives of batch rows, and the row without index, which holds their median in a run: a wrong number here."""
    rows = [long_rows(metric="half_life", unit="steps", index=i, value=value, **more) for i, value in enumerate(values)]
    return [*rows, long_rows(metric="half_life", unit="steps", value=12345.0, **more)]


def case(half_life=2.0, lyapunov=-0.5, **more):
    """Return what sweeps are drawn from: half-life, exponent and class of one case."""
    return [
        *half_lives(half_life, **more),
        long_rows(metric="largest_lyapunov", value=lyapunov, standard_error=0.01, **more),
        long_rows(metric="class", label="vanishing", value=None, **more),
    ]


def spectrum(exponents, singular=(), unresolved=(), **more):
    """Return Lyapunov exponents, and ln σ of which those with an index in `unresolved` are not resolved."""
    rows = [long_rows(metric="lyapunov_exponent", index=i, value=value, **more) for i, value in enumerate(exponents)]
    labels = ["unresolved" if i in unresolved else "resolved" for i in range(len(singular))]
    return rows + [
        long_rows(metric="log_singular_value", index=i, value=value, label=labels[i], **more)
        for i, value in enumerate(singular)
    ]


def trained(losses=(2.0, 1.0), half_life=(2.0, 4.0), rates=(1.0, 0.0), nonfinite=0.0, **more):
    """Return what training on `adding` leaves: losses and norms by step, windows of clipping, half-lives before and after."""
    more = {"task": "adding", "inputs": "task", "input_size": 2} | more
    end = len(losses)
    rows = [
        long_rows(metric=metric, train_step=step, value=value, **more)
        for step, loss in enumerate(losses) for metric, value in (("train_loss", loss), ("train_gradient_norm", 10 * loss))
    ]  # fmt: skip
    for window, rate in enumerate(rates):
        rows.append(long_rows(metric="clip_rate", index=window, train_step=window + 1, value=rate, **more))
    whole = {"nonfinite_steps": nonfinite, "train_gradient_norm_p50": 3.0, "train_gradient_norm_p99": 9.0}
    whole |= {"clip_rate": sum(rates) / len(rates)} if rates else {}
    rows += [long_rows(metric=metric, train_step=end, value=value, **more) for metric, value in whole.items()]
    for step, value in zip((0, end), half_life, strict=True):
        rows += case(value, train_step=step, **more)
    return rows


def failed(**more):
    """Return what a case without values leaves."""
    return [long_rows(metric="class", status="unsupported", reason="it has no forget gate", **more)]


def frame(*rows):
    """Return a frame of lists of rows."""
    return pd.DataFrame([row for part in rows for row in part])


def cells(block):
    """Return the rows of a table of the terminal as dicts."""
    return [dict(zip(block.header, row, strict=True)) for row in block.rows]
