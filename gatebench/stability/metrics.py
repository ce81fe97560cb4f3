"""The table of stability metrics: name, unit, what it is. Needs no torch: figures, tables and docs read it too."""

from dataclasses import dataclass

CLASSES = ("nonfinite", "underflow", "exploding", "vanished", "vanishing", "marginal", "stable")  # most severe first


@dataclass(frozen=True)
class Metric:
    """One value of the column `metric`.

    unit   of the column `value`; "" for shares and other pure numbers
    index  what the column `index` counts: "" nothing, "row" (batch rows; null: the median over them), "layer"
    by     what else tells values of one case apart: "lag" (column lag), "part" (of the state), "letter" (of the gate, in
           the column part)
    """

    name: str
    unit: str
    meaning: str
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
        ),
        Metric("log_gradient_norm_p10", "nats", "lower decile over the batch, an observed row; whole state", by=_LAG),
        Metric("log_gradient_norm_p90", "nats", "upper decile over the batch, an observed row; whole state", by=_LAG),
        Metric(
            "log_norm_bound",
            "nats",
            "Σ ln||J_t||, mean over the batch, float64 at the dtype's rounded weights",
            by=_LAG,
        ),
        Metric(
            "log_weight_bound",
            "nats",
            "k ln(||U|| max φ'), plain RNNs only, float64 at the dtype's rounded weights",
            by=_LAG,
        ),
        Metric(
            "bound_gap",
            "nats",
            "log_norm_bound - log_gradient_norm at lag T, both in float64 at the dtype's rounded weights, mean over the batch",
        ),
        Metric(
            "weight_bound_gap", "nats", "log_weight_bound - log_gradient_norm at lag T, as bound_gap; plain RNNs only"
        ),
        Metric(
            "slope",
            "nats/step",
            "least-squares slope of log_gradient_norm over lags T/4..T, all lags used; null: fewer than 4",
            index="row",
        ),
        Metric("r_squared", "", "share of the variance that this line explains", index="row"),
        Metric("half_life", "steps", "ln 2 / -slope; inf: does not shrink", index="row"),
        Metric("horizon", "steps", "-1 / slope; inf: does not shrink", index="row"),
        Metric("reach", "steps", "largest lag with a norm of at least 1e-3 of lag 0's", index="row"),
        Metric(
            "largest_lyapunov",
            "nats/step",
            "largest Lyapunov exponent after T//4 steps of burn-in, float64 at the dtype's rounded weights; standard_error over segments and rows",
        ),
        Metric("saturation_low", "", "share of sigmoid values below 0.1", by=_LETTER),
        Metric("saturation_high", "", "share of sigmoid values above 0.9", by=_LETTER),
        Metric("saturation_mean", "", "mean of 4g(1-g), sigmoid letters: 1 half open, 0 shut or open", by=_LETTER),
        Metric("saturation_tanh", "", "share of tanh values beyond ±0.99", by=_LETTER),
        Metric("negative_lobe", "", "share of swish values below 0", by=_LETTER),
        Metric("nonfinite_count", "", "how many state and gradient values are NaN or infinite"),
        Metric("class", "", "what the gradients do (label); index null: the most severe of all rows", index="row"),
        Metric("relative_error", "", "||δ - δ64|| / ||δ64||, same rounded weights, median over the batch", by=_LAG),
        Metric("cosine", "", "cosine between δ and δ64, same rounded weights, median over the batch", by=_LAG),
        Metric(
            "quantisation_error",
            "",
            "relative error in float64 from rounding weights and inputs alone, median over the batch",
            by=_LAG,
        ),
        Metric("underflow_share", "", "share of gradient entries that are 0 where float64's are not", by=_LAG),
        Metric("nonfinite_share", "", "share of gradient entries that are NaN or infinite", by=_LAG),
        Metric(
            "first_bad_lag",
            "steps",
            "first lag with a non-finite entry, or a norm of 0 where float64's is not; null: none",
            index="row",
        ),
        Metric(
            "reference_log_gradient_norm",
            "nats",
            "log_gradient_norm in float64 at the dtype's rounded weights",
            by=_LAG,
        ),
        Metric("reference_slope", "nats/step", "slope of reference_log_gradient_norm", index="row"),
        Metric("reference_half_life", "steps", "half_life of reference_log_gradient_norm", index="row"),
        Metric("reference_reach", "steps", "reach of reference_log_gradient_norm", index="row"),
        Metric(
            "log_depth_gradient_norm",
            "nats",
            "ln||dL/d(input of layer l)|| - ln||dL/d(output)||, mean over the batch; index 0 is the first layer's input, the last is the output",
            index="layer",
        ),
        Metric("log_depth_gradient_norm_p10", "nats", "lower decile over the batch, an observed row", index="layer"),
        Metric("log_depth_gradient_norm_p90", "nats", "upper decile over the batch, an observed row", index="layer"),
        Metric(
            "depth_relative_error",
            "",
            "||g - g64|| / ||g64|| at a layer's input, same rounded weights, median over the batch",
            index="layer",
        ),
        Metric(
            "depth_underflow_share",
            "",
            "share of a layer's gradient entries that are 0 where float64's are not",
            index="layer",
        ),
    )
}
