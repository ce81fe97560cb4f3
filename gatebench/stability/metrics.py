"""The table of stability metrics: name, unit, what it is. Needs no torch: figures, tables and docs read it too."""

from dataclasses import dataclass

CLASSES = ("nonfinite", "underflow", "exploding", "vanished", "vanishing", "marginal", "stable")  # most severe first


@dataclass(frozen=True)
class Metric:
    """One value of the column `metric`.

    unit   of the column `value`; "" for shares and other pure numbers
    group  which name of the suite key `metrics` asks for it; "" where every case has it
    index  what the column `index` counts: "" nothing, "row" (batch rows; null: the median over them), "layer",
           "exponent" and "value" (0 is the largest), "window" (of training; null: all steps)
    by     what else tells values of one case apart: "lag" (column lag), "part" (of the state), "letter" (of the gate, in
           the column part)
    """

    name: str
    unit: str
    meaning: str
    group: str = ""
    index: str = ""
    by: tuple[str, ...] = ()


_LAG = ("lag",)
_PART = ("lag", "part")
_LETTER = ("letter",)

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "log_gradient_norm",
            "nats",
            "ln||δ_{T-k}|| - ln||δ_T||, mean over the batch; -inf: a row is exactly 0, inf: a row is not finite; part '': whole state",
            by=_PART,
            group="profile",
        ),
        Metric(
            "log_gradient_norm_p10",
            "nats",
            "lower decile over the batch, an observed row; whole state",
            by=_LAG,
            group="profile",
        ),
        Metric(
            "log_gradient_norm_p90",
            "nats",
            "upper decile over the batch, an observed row; whole state",
            by=_LAG,
            group="profile",
        ),
        Metric(
            "log_norm_bound",
            "nats",
            "Σ ln||J_t||, mean over the batch, float64 at the dtype's rounded weights",
            by=_LAG,
            group="bounds",
        ),
        Metric(
            "log_weight_bound",
            "nats",
            "k ln(||U|| max φ'), plain RNNs of one layer only, float64 at the dtype's rounded weights",
            by=_LAG,
            group="bounds",
        ),
        Metric(
            "bound_gap",
            "nats",
            "log_norm_bound - log_gradient_norm at lag T, both in float64 at the dtype's rounded weights, mean over the batch",
            group="bounds",
        ),
        Metric(
            "weight_bound_gap",
            "nats",
            "log_weight_bound - log_gradient_norm at lag T, as bound_gap; plain RNNs of one layer only",
            group="bounds",
        ),
        Metric(
            "slope",
            "nats/step",
            "least-squares slope of log_gradient_norm over lags T/4..T, all lags used; null: fewer than 4",
            index="row",
            group="profile",
        ),
        Metric("r_squared", "", "share of the variance that this line explains", index="row", group="profile"),
        Metric("half_life", "steps", "ln 2 / -slope; inf: does not shrink", index="row", group="profile"),
        Metric("horizon", "steps", "-1 / slope; inf: does not shrink", index="row", group="profile"),
        Metric("reach", "steps", "largest lag with a norm of at least 1e-3 of lag 0's", index="row", group="profile"),
        Metric(
            "largest_lyapunov",
            "nats/step",
            "largest Lyapunov exponent after T//4 steps of burn-in, of the steps before a state that is not finite (inf: none), float64 at the dtype's rounded weights; standard_error over segments and rows",
            group="lyapunov",
        ),
        Metric(
            "lyapunov_exponent",
            "nats/step",
            "Lyapunov exponents after T//4 steps of burn-in, descending, float64 at the dtype's rounded weights; -inf: collapsed; standard_error over segments and rows",
            index="exponent",
            group="spectrum",
        ),
        Metric(
            "kaplan_yorke_dimension",
            "",
            "k + Σ_{i<=k} λ_i / |λ_{k+1}|, k the most exponents whose sum is not negative",
            group="spectrum",
        ),
        Metric(
            "log_singular_value",
            "nats",
            "ln σ of ds_T/ds_0, mean over the batch, descending, float64 at the dtype's rounded weights; standard_error over the batch; label: resolved, or unresolved where a row's value is not known to 1e-6",
            index="value",
            group="singular_values",
        ),
        Metric(
            "log_abs_det",
            "nats",
            "ln|det ds_T/ds_0|, float64 at the dtype's rounded weights; -inf: singular",
            index="row",
            group="determinant",
        ),
        Metric(
            "predicted_half_life",
            "steps",
            "ln 2 / -ln σ(b) of a gate with the bias b alone, all weights 0",
            group="theory",
        ),
        Metric(
            "predicted_lyapunov",
            "nats/step",
            "largest exponent of an infinitely wide tanh network (mean field)",
            group="theory",
        ),
        Metric(
            "predicted_edge",
            "",
            "gain of the recurrent matrices above which the state 0 is unstable, infinitely wide",
            group="theory",
        ),
        Metric("saturation_low", "", "share of sigmoid values below 0.1", by=_LETTER, group="saturation"),
        Metric("saturation_high", "", "share of sigmoid values above 0.9", by=_LETTER, group="saturation"),
        Metric(
            "saturation_mean",
            "",
            "mean of 4g(1-g), sigmoid letters: 1 half open, 0 shut or open",
            by=_LETTER,
            group="saturation",
        ),
        Metric("saturation_tanh", "", "share of tanh values beyond ±0.99", by=_LETTER, group="saturation"),
        Metric("dead_share", "", "share of relu values that are 0", by=_LETTER, group="saturation"),
        Metric("density", "", "share of gates that are open, of gates that are 0 or 1", by=_LETTER, group="saturation"),
        Metric("activation_slope", "", "mean of the activation's derivative φ'(a)", by=_LETTER, group="saturation"),
        Metric("flat_share", "", "share of |φ'(a)| < 0.01", by=_LETTER, group="saturation"),
        Metric("negative_lobe", "", "share of swish and gelu values below 0", by=_LETTER, group="saturation"),
        Metric("nonfinite_count", "", "how many state and gradient values are NaN or infinite"),
        Metric("first_bad_step", "steps", "first step whose state is not finite; null: none", index="row"),
        Metric("class", "", "what the gradients do (label); index null: the most severe of all rows", index="row"),
        Metric("train_loss", "", "the task's loss at a training step (column train_step: steps taken before)"),
        Metric("train_gradient_norm", "", "global norm of the gradient at a training step, before clipping"),
        Metric("clip_rate", "", "share of training steps whose gradient was clipped", index="window"),
        Metric(
            "clip_coefficient", "", "mean factor min(1, θ / norm) that gradients were multiplied by", index="window"
        ),
        Metric("train_gradient_norm_p50", "", "median of the gradient's norm over training steps", index="window"),
        Metric("train_gradient_norm_p95", "", "95th percentile of it", index="window"),
        Metric("train_gradient_norm_p99", "", "99th percentile of it", index="window"),
        Metric(
            "nonfinite_steps",
            "steps",
            "training steps whose loss or gradient was not finite, and which changed nothing",
            index="window",
        ),
        Metric(
            "relative_error",
            "",
            "||δ - δ64|| / ||δ64||, same rounded weights, median over the batch",
            by=_LAG,
            group="precision",
        ),
        Metric(
            "cosine",
            "",
            "cosine between δ and δ64, same rounded weights, median over the batch",
            by=_LAG,
            group="precision",
        ),
        Metric(
            "quantisation_error",
            "",
            "relative error in float64 from rounding weights and inputs alone, median over the batch",
            by=_LAG,
            group="precision",
        ),
        Metric(
            "underflow_share",
            "",
            "share of gradient entries that are 0 where float64's are not",
            by=_LAG,
            group="precision",
        ),
        Metric("nonfinite_share", "", "share of gradient entries that are NaN or infinite", by=_LAG, group="precision"),
        Metric(
            "first_bad_lag",
            "steps",
            "first lag with a non-finite entry, or a norm of 0 where float64's is not; null: none",
            index="row",
            group="precision",
        ),
        Metric(
            "false_plateau",
            "steps",
            "the most lags at the end over which float64's norm falls to half or less and this one by under a tenth of that in nats",
            index="row",
            group="precision",
        ),
        Metric(
            "usable_loss_scale",
            "",
            "largest power of two that keeps every gradient of the reference finite in the dtype",
            index="row",
            group="precision",
        ),
        Metric(
            "reference_log_gradient_norm",
            "nats",
            "log_gradient_norm in float64 at the dtype's rounded weights",
            by=_LAG,
            group="precision",
        ),
        Metric("reference_slope", "nats/step", "slope of reference_log_gradient_norm", index="row", group="precision"),
        Metric(
            "reference_half_life", "steps", "half_life of reference_log_gradient_norm", index="row", group="precision"
        ),
        Metric("reference_reach", "steps", "reach of reference_log_gradient_norm", index="row", group="precision"),
        Metric(
            "log_depth_gradient_norm",
            "nats",
            "ln||dL/d(input of layer l)|| - ln||dL/d(output)||, mean over the batch; index 0 is the first layer's input, the last is the output",
            index="layer",
            group="depth",
        ),
        Metric(
            "log_depth_gradient_norm_p10",
            "nats",
            "lower decile over the batch, an observed row",
            index="layer",
            group="depth",
        ),
        Metric(
            "log_depth_gradient_norm_p90",
            "nats",
            "upper decile over the batch, an observed row",
            index="layer",
            group="depth",
        ),
        Metric(
            "depth_relative_error",
            "",
            "||g - g64|| / ||g64|| at a layer's input, same rounded weights, median over the batch",
            index="layer",
            group="precision",
        ),
        Metric(
            "depth_underflow_share",
            "",
            "share of a layer's gradient entries that are 0 where float64's are not",
            index="layer",
            group="precision",
        ),
    )
}
