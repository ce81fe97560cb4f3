"""Mutants whose numbers are wrong: outputs, gradients, shapes, and gates that are their neighbours."""

import torch
import torch.nn.functional as F
from right import CAUGHT_BY, detached, glu, gru, gru_step, lstm, mutant

import gatebench

# --- outputs


@mutant("values-float32")
def returns_zeros(params, inputs):
    return {name: 0 * value for name, value in gru(params, inputs).items()}


@mutant("values-float32", "lstm")
def half_inside(params, inputs):
    lower = lambda part: {name: value.half() for name, value in part.items()}  # noqa: E731
    return {name: value.to(inputs["x"].dtype) for name, value in lstm(lower(params), lower(inputs)).items()}


@mutant("values-float64", "lstm")
def single_inside(params, inputs):
    lower = lambda part: {name: value.float() for name, value in part.items()}  # noqa: E731
    return {name: value.to(inputs["x"].dtype) for name, value in lstm(lower(params), lower(inputs)).items()}


@mutant("values-bfloat16", "glu")
def truncates_in_bfloat16(params, inputs):
    output = glu(params, inputs)["output"]
    return {"output": output * (1 + 2**-4) if output.dtype == torch.bfloat16 else output}


@mutant("values-float32")
def misses_the_last_step(params, inputs):
    found = gru(params, inputs)
    return found | {
        "output": torch.cat((found["output"][:-1], found["output"][-2:-1]))
        if len(found["output"]) > 1
        else found["output"]
    }


@mutant("values-float32", "glu")
def tanh_for_sigmoid(params, inputs):
    return {"output": inputs["value"] * torch.tanh(inputs["gate"])}


@mutant("final-state-is-the-last-step")
def state_before_the_last_update(params, inputs):
    found = gru(params, inputs)
    return found | {"h": found["output"][-2] if len(found["output"]) > 1 else inputs["h0"]}


# --- gradients


@mutant("gradients-float32")
def detaches_one_gate(params, inputs):
    r, z, n = params["weight_hh"].chunk(3)
    return gru({**params, "weight_hh": torch.cat((r, z.detach(), n))}, inputs)


@mutant("gradients-float64")
def detaches_a_bias_in_float64(params, inputs):
    bias = params["bias_hh"]
    return gru({**params, "bias_hh": bias.detach() if bias.dtype == torch.float64 else bias}, inputs)


@mutant("gradients-bfloat16")
def detaches_a_bias_in_bfloat16(params, inputs):
    bias = params["bias_hh"]
    return gru({**params, "bias_hh": bias.detach() if bias.dtype == torch.bfloat16 else bias}, inputs)


@mutant("gradients-float32")
def detaches_everything(params, inputs):
    return detached(gru(params, inputs))


@mutant("every-gradient-flows")
def detaches_the_reset_block(params, inputs):
    r, z, n = params["weight_ih"].chunk(3)
    return gru({**params, "weight_ih": torch.cat((r.detach(), z, n))}, inputs)


@mutant("gradients-at-the-first-step")
def truncates_the_backward(params, inputs):
    h, outputs = inputs["h0"], []
    for number, x_t in enumerate(inputs["x"]):
        h = gru_step(params, x_t, h.detach() if number == 3 else h)
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h.clone()}


class OnesBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, gate):
        ctx.save_for_backward(value, gate)
        return value * torch.sigmoid(gate)

    @staticmethod
    def backward(ctx, upstream):
        value, gate = ctx.saved_tensors
        s = torch.sigmoid(gate)
        return s, value * s * (1 - s)


@mutant("upstream-is-used", "glu")
def assumes_upstream_ones(params, inputs):
    return {"output": OnesBackward.apply(inputs["value"], inputs["gate"])}


class LastStepBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, output):
        return output.clone()

    @staticmethod
    def backward(ctx, upstream):
        return torch.cat((torch.zeros_like(upstream[:-1]), upstream[-1:]))


@mutant("gradients-of-a-middle-step")
def only_the_last_upstream(params, inputs):
    found = gru(params, inputs)
    return found | {"output": LastStepBackward.apply(found["output"])}


@mutant("gradients-of-the-final-state", "lstm")
def forgets_the_path_through_c(params, inputs):
    found = lstm(params, inputs)
    return found | {"c": found["c"].detach() + 0 * found["h"]}


class AnotherFunctionsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, gate):
        ctx.save_for_backward(value, gate)
        return value * torch.sigmoid(gate)

    @staticmethod
    def backward(ctx, upstream):
        value, gate = ctx.saved_tensors
        s = torch.sigmoid(gate)
        return upstream * s, upstream * value * s


@mutant("gradcheck", "glu")
def another_functions_backward(params, inputs):
    return {"output": AnotherFunctionsBackward.apply(inputs["value"], inputs["gate"])}


@mutant("forward-without-gradients")
def another_path_without_gradients(params, inputs):
    found = gru(params, inputs)
    return found if torch.is_grad_enabled() else {name: value.round(decimals=1) for name, value in found.items()}


# --- shapes


@mutant("one-step")
def starts_at_the_second_step(params, inputs):
    if len(inputs["x"]) > 1:
        return gru(params, inputs)
    return {"output": inputs["h0"][None] + 0, "h": inputs["h0"] + 0}


@mutant("one-row")
def squeezes_the_batch(params, inputs):
    return {name: value.squeeze(-2) for name, value in gru(params, inputs).items()}


@mutant("many-steps")
def has_a_table_of_64_steps(params, inputs):
    return gru(params, {**inputs, "x": torch.cat((inputs["x"][:64], 0 * inputs["x"][64:]))})


@mutant("widths-that-differ")
def takes_one_width_for_the_other(params, inputs):
    wide = inputs["x"].shape[-1] > params["weight_hh"].shape[1]
    return gru(params, {**inputs, "x": inputs["x"].flip(-1)} if wide else inputs)


@mutant("empty-batch")
def needs_a_row(params, inputs):
    if not inputs["x"].shape[1]:
        raise RuntimeError("invalid configuration argument")
    return gru(params, inputs)


SHAPES = []


@mutant("shapes-take-turns")
def keeps_the_first_length(params, inputs):
    SHAPES.append(len(inputs["x"]))
    steps = SHAPES[-2] if len(SHAPES) > 1 and SHAPES[-2] < SHAPES[-1] else SHAPES[-1]
    return gru(params, {**inputs, "x": torch.cat((inputs["x"][:steps], 0 * inputs["x"][steps:]))})


# --- neighbours


@mutant("reset-form")
def resets_before(params, inputs):
    return gru(params, inputs, reset="before")


@mutant("what-z-keeps")
def swaps_z(params, inputs):
    return gru(params, inputs, z="add")


@mutant("gate-order", "lstm")
def reads_onnx_order(params, inputs):
    return lstm(params, inputs, order=(0, 2, 3, 1))


@mutant("gate-order")
def reads_z_first(params, inputs):
    swapped = {}
    for name, value in params.items():
        z, r, n = value.chunk(3)
        swapped[name] = torch.cat((r, z, n))
    return gru(swapped, inputs)


@mutant("other-options", "swiglu")
def takes_any_slope_for_one(params, inputs, gate):
    return {"output": inputs["value"] * torch.nn.functional.silu(inputs["gate"])}


@mutant("other-options", "gated_attention")
def has_one_head(params, inputs, gate):
    return type(gate)(**{**dict(gate.option_values), "heads": 1}).forward(params, inputs)


@mutant("other-options", "sru")
def has_an_unscaled_highway(params, inputs, gate):
    return type(gate)(alpha=1.0).forward(params, inputs)


@mutant("other-options", "gated_conv")
def takes_images_for_squares(params, inputs, gate):
    x = inputs["x"]
    return gate.forward(params, {"x": F.pad(x, (0, x.shape[2] - x.shape[3])) if x.dim() == 4 else x})


@mutant("halves-in-order", "glu")
def gates_by_the_value(params, inputs):
    return {"output": inputs["gate"] * torch.sigmoid(inputs["value"])}


@mutant("halves-in-order", "swiglu_ffn")
def activates_the_up_projection(params, inputs):
    x = inputs["x"]
    hidden = (x @ params["W"].T) * torch.nn.functional.silu(x @ params["V"].T)
    return {"output": hidden @ params["W2"].T}


# --- rows and steps


@mutant("batch-rows-are-independent", "glu")
def normalises_over_the_batch(params, inputs):
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"] - inputs["gate"].mean(0) * 1e-1)}


@mutant("no-step-sees-the-future")
def sees_the_future(params, inputs):
    return gru(params, {**inputs, "x": inputs["x"] + 0.1 * inputs["x"].roll(-1, 0)})


@mutant("split-sequence")
def restarts_from_zeros(params, inputs):
    if len(inputs["x"]) < 4:
        return gru(params, {**inputs, "h0": torch.zeros_like(inputs["h0"]) + 0 * inputs["h0"]})
    return gru(params, inputs)


# --- the number range


@mutant("saturation", "glu")
def overflows_in_exp(params, inputs):
    exp = inputs["gate"].exp()
    return {"output": inputs["value"] * (exp / (1 + exp))}


@mutant("denormals", "glu")
def divides_by_the_input(params, inputs):
    value = inputs["value"]
    return {"output": glu(params, inputs)["output"] * (1 / value) * value}


@mutant("nan-goes-through", "glu")
def repairs_nan(params, inputs):
    return {"output": glu(params, inputs)["output"].nan_to_num()}


@mutant("infinity-is-a-number", "glu")
def subtracts_infinity(params, inputs):
    gate = inputs["gate"]
    return {"output": inputs["value"] * torch.exp(gate - torch.logaddexp(gate, torch.zeros_like(gate)))}


CAUGHT_BY["mutant:packs-once"] = "gru", "weights-are-read-anew"


@gatebench.prepared_implementation("mutant:packs-once", gates=["gru"])
def packs_once(gate, case, params):
    packed = {name: value.clone() for name, value in params.items()}
    return gatebench.Prepared(lambda leaves, inputs: gru({**packed, "bias_ih": leaves["bias_ih"]}, inputs), params)
