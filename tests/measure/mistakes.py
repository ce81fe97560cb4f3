"""Implementations with one small mistake each, written as a plugin author would write them."""

import torch
import torch.nn.functional as F

from gatebench import gates


def lstm(params, inputs, steps=None, detach="", half=False, swap=False, cell_first=False):
    """An LSTM that is right by default; each argument plants one mistake."""
    h, c = inputs["h0"], inputs["c0"]
    outputs = []
    for t, x_t in enumerate(inputs["x"]):
        pre = F.linear(x_t, params["weight_ih"], params["bias_ih"]) + F.linear(
            h, params["weight_hh"], params["bias_hh"]
        )
        if half:
            pre = pre.half().to(pre.dtype)
        i, f, g, o = pre.chunk(4, dim=-1)
        i, f = (f, i) if swap else (i, f)
        values = {"i": torch.sigmoid(i), "f": torch.sigmoid(f), "g": torch.tanh(g), "o": torch.sigmoid(o)}
        if detach:
            values[detach] = values[detach].detach()
        if steps is None or t < steps:
            new = values["f"] * c + values["i"] * values["g"]
            h = values["o"] * torch.tanh(c if cell_first else new)
            c = new
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h, "c": c}


def gru(params, inputs, swapped_z=False, reset_before=False):
    """A GRU that is right by default; each argument plants one mistake."""
    h = inputs["h0"]
    outputs = []
    W, U, b, c = (params[name].chunk(3, dim=0) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    for x_t in inputs["x"]:
        r, z = (torch.sigmoid(F.linear(x_t, W[k], b[k]) + F.linear(h, U[k], c[k])) for k in (0, 1))
        inner = F.linear(r * h, U[2], c[2]) if reset_before else r * F.linear(h, U[2], c[2])
        n = torch.tanh(F.linear(x_t, W[2], b[2]) + inner)
        h = (1 - z) * h + z * n if swapped_z else (1 - z) * n + z * h
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h}


def reference(name):
    """Return a gate's own forward."""
    return gates.get(name).forward


def zeros(params, inputs):
    return {name: value * 0 for name, value in reference("lstm")(params, inputs).items()}


def detached_input(params, inputs):
    return reference("lstm")(params, {**inputs, "x": inputs["x"].detach()})


def detached_bias(params, inputs):
    return reference("lstm")({**params, "bias_hh": params["bias_hh"].detach()}, inputs)


def final_state_one_step_early(params, inputs):
    found = reference("gru")(params, inputs)
    return {**found, "h": found["output"][-2] if len(inputs["x"]) > 1 else inputs["h0"] + 0}


def gradient_scaled_by_one_per_mille(params, inputs):
    found = reference("gru")(params, inputs)
    output = found["output"]
    return {**found, "output": output.detach() + (output - output.detach()) * 1.001}


def changes_its_input(params, inputs):
    found = reference("swiglu")(params, inputs)
    with torch.no_grad():
        inputs["gate"].mul_(1.5)
    return found


def reads_memory_it_never_wrote(params, inputs):
    output = torch.empty_like(inputs["value"])
    output[..., :-1] = (inputs["value"] * torch.sigmoid(inputs["gate"]))[..., :-1]
    return {"output": output}


def one_nan(params, inputs):
    output = inputs["value"] * torch.sigmoid(inputs["gate"])
    mask = torch.zeros_like(output)
    mask.view(-1)[-1] = float("nan")
    return {"output": output + mask}


def gelu_in_place_of_silu(params, inputs):
    return {"output": inputs["value"] * F.gelu(inputs["gate"])}


def gate_and_value_swapped(params, inputs):
    return {"output": inputs["gate"] * torch.sigmoid(inputs["value"])}


def float16_products(params, inputs):
    x = inputs["x"].half()
    u, v = (F.linear(x, params[name].half()).to(inputs["x"].dtype) for name in ("W", "V"))
    return {"output": F.linear(F.silu(u) * v, params["W2"])}


def gradient_cut(params, inputs):
    found = reference("swiglu_ffn")(params, inputs)
    return {"output": found["output"].detach()}


def wrong_shape(params, inputs):
    return {"output": reference("glu")(params, inputs)["output"].transpose(0, 1)}


def wrong_dtype(params, inputs):
    return {"output": reference("glu")(params, inputs)["output"].double()}


# name -> (gate, implementation)
MISTAKES = {
    "zeros": ("lstm", zeros),
    "last step missing": ("lstm", lambda p, x: lstm(p, x, steps=len(x["x"]) - 1)),
    "gradient of the forget gate detached": ("lstm", lambda p, x: lstm(p, x, detach="f")),
    "gradient of the output gate detached": ("lstm", lambda p, x: lstm(p, x, detach="o")),
    "gradient to the input detached": ("lstm", detached_input),
    "gradient to one bias detached": ("lstm", detached_bias),
    "float16 inside": ("lstm", lambda p, x: lstm(p, x, half=True)),
    "input and forget gate swapped": ("lstm", lambda p, x: lstm(p, x, swap=True)),
    "output from the old cell": ("lstm", lambda p, x: lstm(p, x, cell_first=True)),
    "swapped z": ("gru", lambda p, x: gru(p, x, swapped_z=True)),
    "reset before the product": ("gru", lambda p, x: gru(p, x, reset_before=True)),
    "final state one step early": ("gru", final_state_one_step_early),
    "gradient scaled by 1.001": ("gru", gradient_scaled_by_one_per_mille),
    "changes its input": ("swiglu", changes_its_input),
    "gelu in place of silu": ("swiglu", gelu_in_place_of_silu),
    "reads memory it never wrote": ("glu", reads_memory_it_never_wrote),
    "one NaN": ("glu", one_nan),
    "gate and value swapped": ("glu", gate_and_value_swapped),
    "wrong shape": ("glu", wrong_shape),
    "wrong dtype": ("glu", wrong_dtype),
    "float16 products": ("swiglu_ffn", float16_products),
    "backward cut": ("swiglu_ffn", gradient_cut),
}
