"""Correct implementations that the mutants break, and the decorator that says which check must catch one."""

import torch
import torch.nn.functional as F

import gatebench

CAUGHT_BY: dict[str, tuple[str, str]] = {}  # mutant -> (gate, check)


def mutant(check, gate="gru", **settings):
    """Register forward(params, inputs) as the implementation `mutant:<its name>`, to be caught by `check`."""

    def register(forward):
        name = "mutant:" + forward.__name__.replace("_", "-")
        CAUGHT_BY[name] = gate, check
        return gatebench.implementation(name, gates=[gate], **settings)(forward)

    return register


def gru_step(params, x_t, h, reset="after", z="keep"):
    weight_hh, bias_hh = params["weight_hh"], params["bias_hh"]
    u_r, u_z, u_n = F.linear(x_t, params["weight_ih"], params["bias_ih"]).chunk(3, dim=1)
    v_r, v_z, v_n = F.linear(h, weight_hh, bias_hh).chunk(3, dim=1)
    r, update = torch.sigmoid(u_r + v_r), torch.sigmoid(u_z + v_z)
    if reset == "before":
        v_n = F.linear(r * h, weight_hh.chunk(3)[2], bias_hh.chunk(3)[2])
        r = torch.ones_like(r)
    n = torch.tanh(u_n + r * v_n)
    return update * h + (1 - update) * n if z == "keep" else (1 - update) * h + update * n


def gru(params, inputs, **form):
    h, outputs = inputs["h0"], []
    for x_t in inputs["x"]:
        h = gru_step(params, x_t, h, **form)
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h.clone()}


def lstm_step(params, x_t, h, c, order=(0, 1, 2, 3)):
    gates = F.linear(x_t, params["weight_ih"], params["bias_ih"]) + F.linear(h, params["weight_hh"], params["bias_hh"])
    blocks = gates.chunk(4, dim=1)
    i, f, g, o = (blocks[number] for number in order)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm(params, inputs, **form):
    h, c, outputs = inputs["h0"], inputs["c0"], []
    for x_t in inputs["x"]:
        h, c = lstm_step(params, x_t, h, c, **form)
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h.clone(), "c": c}


def glu(params, inputs):
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"])}


def detached(outputs):
    return {name: value.detach() for name, value in outputs.items()}
