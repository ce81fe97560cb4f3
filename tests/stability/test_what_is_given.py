"""What a caller may get wrong: names, shapes, arrays that are no tensors, steps that autograd cannot follow."""

import re

import numpy as np
import pytest
import torch
from stability_models import drawn

from gatebench import Shape, gates, stability

STEP_X = {"x": torch.randn(5, 2, 4), "state0": torch.randn(2, 4)}


def changed(of, function=stability.unroll, without=None, **tensors):
    """Call with some parameters or inputs exchanged by those of other shapes, or one left out."""
    gate, params, inputs = drawn(of)
    given = {name: torch.zeros(value) if isinstance(value, tuple) else value for name, value in tensors.items()}
    params = {name: given.get(name, value) for name, value in params.items() if name != without}
    return function(gate, params, {name: given.get(name, value) for name, value in inputs.items()})


def layered(**sizes):
    """Compute the depth profile of a block whose second layer has one tensor of another shape, or lacks one."""
    gate, params, inputs = drawn("swiglu_ffn")
    second = {**params, **{name: torch.zeros(size).double() for name, size in sizes.items()}}
    return stability.depth_profile(gate, [params, second if sizes else {}], inputs)


def own(step, params=None, **inputs):
    return stability.unroll(step, params or {}, STEP_X | inputs)


def in_place(params, x, state):
    state *= 0.5
    return state


def spoils_what_sigmoid_keeps(params, x, state):
    gate = torch.sigmoid(state)
    gate += 1
    return gate


def spoils_x(params, x, state):
    x += 1
    return state * x


def precise(gate, params, inputs):
    return stability.precision(gate, params, inputs, "bfloat16")


NAMES = {
    "a parameter less": (lambda: changed("lstm", without="bias_hh"), "unroll: params lack 'bias_hh'; lstm has weight_ih,"),
    "in precision": (lambda: changed("gru", precise, without="bias_hh"), "params lack 'bias_hh'"),
    "in saturation": (lambda: changed("gru", stability.saturation, without="bias_hh"), "params lack 'bias_hh'"),
    "in saturation without time": (
        lambda: changed("swiglu_ffn", stability.saturation, without="V"), "saturation: params lack 'V'"),
    "in a layer": (layered, "depth_profile: layer 1: params lack 'W'"),
    "a name for a gate": (lambda: stability.unroll("lstm", {}, {}), "give gates.get('lstm')"),
    "a name in precision": (lambda: stability.precision("lstm", {}, {}, "float32"), "give gates.get('lstm')"),
    "a name in saturation": (lambda: stability.saturation("lstm", {}, {}), "give gates.get('lstm')"),
    "a name in depth_profile": (lambda: stability.depth_profile("glu", [{}], {}), "give gates.get('glu')"),
    "a class for a gate": (lambda: stability.unroll(type(gates.get("lstm")), {}, {}), "gate is the class LSTM"),
    "nothing for a gate": (lambda: stability.unroll(None, {}, {}), "gate is a NoneType; accepted: a gate, or a function"),
    "a function that has no letters": (lambda: stability.saturation(in_place, {}, {}), "gate is a function"),
    "params by their order": (lambda: own(in_place, [torch.ones(1)]), "params are a list; accepted: a mapping"),
}  # fmt: skip

SHAPES = {
    "a bias": (lambda: changed("lstm", bias_hh=(12,)), "bias_hh has shape (12,); accepted: (16,) at input_size 3 and hidden_size 4"),
    "a weight of a stack": (
        lambda: changed(gates.get("gru", num_layers=3), weight_ih_l2=(12, 3)), "weight_ih_l2 has shape (12, 3); accepted: (12, 4)"),
    "x": (lambda: changed("gru", x=(8, 2, 7)), "x has shape (8, 2, 7); accepted: (8, 2, 3)"),
    "x with windows": (lambda: changed("gru", x=(8, 2, 1, 3)), "x has shape (8, 2, 1, 3); accepted: (8, 2, 3)"),
    "h0": (lambda: changed("gru", h0=(2, 5)), "h0 has shape (2, 5); accepted: (2, 4)"),
    "c0 alone": (lambda: changed("lstm", c0=(2, 8)), "c0 has shape (2, 8); accepted: (2, 4)"),
    "widths that add up to the same": (lambda: changed("lstm", h0=(2, 3), c0=(2, 5)), "h0 has shape (2, 3); accepted: (2, 4)"),
    "a state several times as wide as H": (
        lambda: changed("selective_scan", h0=(2, 60)), "h0 has shape (2, 60); accepted: (2, 64)"),
    "inputs before the first": (lambda: changed("qrnn", x0=(2, 2, 3)), "x0 has shape (2, 2, 3); accepted: (1, 2, 3)"),
    "in precision": (lambda: changed("gru", precise, bias_ih=(4,)), "bias_ih has shape (4,); accepted: (12,)"),
    "in saturation": (lambda: changed("gru", stability.saturation, bias_ih=(4,)), "bias_ih has shape (4,)"),
    "in saturation without time": (
        lambda: changed("swiglu_ffn", stability.saturation, V=(4, 5)), "saturation: V has shape (4, 5); accepted: (4, 3)"),
    "a value beside another gate": (
        lambda: changed("glu", stability.saturation, gate=(2, 8, 3)), "value has shape (2, 8, 4); accepted: (2, 8, 3)"),
    "in a layer": (lambda: layered(W2=(4, 3)), "depth_profile: layer 1: W2 has shape (4, 3); accepted: (3, 4)"),
}  # fmt: skip

ARRAYS = {
    "x": (lambda: changed("gru", x=np.zeros((8, 2, 3))), "unroll: x is a numpy ndarray; accepted: a torch tensor"),
    "a weight": (lambda: changed("gru", bias_ih=[0.0] * 12), "bias_ih is a list"),
    "in saturation": (lambda: changed("gru", stability.saturation, x=np.zeros((8, 2, 3))), "x is a numpy ndarray"),
    "a cotangent": (
        lambda: stability.gradient_profile(own(lambda p, x, s: s), np.ones((2, 4))),
        "cotangent: it is a numpy ndarray",
    ),
    "jacobians": (lambda: stability.lyapunov_of_products(np.ones((3, 2, 2))), "jacobians is a numpy ndarray"),
    "a gain": (lambda: stability.mean_field("1"), "gain is '1'; accepted: finite numbers"),
    "a variance": (lambda: stability.mean_field(1.0, None), "input_variance is None"),
    "a gain that is true": (lambda: stability.mean_field(True), "gain is True"),
    "norms of text": (lambda: stability.clipping(["a", "b"], 1.0), "clipping: norms are no numbers"),
    "norms of nothing": (lambda: stability.clipping([1.0, None], 1.0), "norms are no numbers"),
    "norms that are complex": (lambda: stability.clipping(torch.ones(2) * 1j, 1.0), "norms are no numbers: they are complex64"),
}  # fmt: skip

STEPS = {
    "a tuple": (lambda: own(lambda p, x, s: (s, s)), "what the step returns is a tuple; accepted: a torch tensor"),
    "an array": (lambda: own(lambda p, x, s: s.detach().numpy()), "what the step returns is a numpy ndarray"),
    "another width": (lambda: own(lambda p, x, s: s[:, :3]), "the step makes a state (2, 3) of one (2, 4)"),
    "rows of its own": (lambda: own(lambda p, x, s: torch.ones(2, 4)), "the step makes a state (2, 4) of one (4, 4)"),
    "a parameter it lacks": (lambda: own(lambda p, x, s: s * p["a"]), "the step fails at t = 1, state (2, 4), x_t (2, 4): KeyError: 'a'"),
    "shapes that do not fit": (lambda: own(lambda p, x, s: s @ p["W"], {"W": torch.ones(3, 4)}), "RuntimeError: mat1 and mat2"),
    "in place": (lambda: own(in_place), "the step changes state in place; accepted: steps that return a new state"),
    "in place, of zeros": (lambda: own(in_place, state0=torch.zeros(2, 4)), "accepted: torch operations, none in place"),
    "in place, of x": (lambda: own(spoils_x), "the step changes x_t in place"),
    "in place, what autograd needs": (lambda: own(spoils_what_sigmoid_keeps), "accepted: torch operations, none in place"),
    "NumPy inside": (lambda: own(lambda p, x, s: torch.from_numpy(np.tanh(s.numpy()))), "Can't call numpy()"),
}  # fmt: skip

BAD = {
    f"{group}: {what}": case
    for group, cases in (("names", NAMES), ("shapes", SHAPES), ("arrays", ARRAYS), ("steps", STEPS))
    for what, case in cases.items()
}


@pytest.mark.parametrize("what", BAD)
def test_one_clear_error(what):
    call, text = BAD[what]
    with pytest.raises(stability.StabilityError, match=re.escape(text)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_refused_step_has_changed_nothing():
    x = STEP_X["x"].double()
    before = x.clone()
    with pytest.raises(stability.StabilityError):
        own(spoils_x, x=x)
    assert torch.equal(x, before)


def test_nan_in_memory_is_no_matter_of_a_file():
    with pytest.raises(stability.StabilityError) as caught:
        own(lambda p, x, s: s, x=torch.full((5, 2, 4), torch.nan))
    assert "file" not in str(caught.value)


def test_shapes_that_a_gate_declares_are_accepted_at_any_size():
    for name in ("lstm_projected", "mlstm", "selective_scan", "sru", "qrnn", "rg_lru", "slstm"):
        for sizes in ((1, 1, 2, 2), (1, 3, 2, 6), (3, 1, 4, 4), (2, 5, 12, 8)):
            shape = Shape(**dict(zip(("batch", "seq_len", "input_size", "hidden_size"), sizes, strict=True)))
            gate = gates.get(name)
            trajectory = stability.unroll(gate, gate.draw(shape, 0), gate.inputs(shape, 0))
            assert trajectory.size == sum(gate.state(shape).values())


def test_an_image_may_have_any_form():
    gate, params, _ = drawn("gated_conv")
    assert set(stability.saturation(gate, params, {"x": torch.zeros(2, 3, 11).double()})) == {"gate"}
    gate, params, _ = drawn("squeeze_excite", input_size=4)
    assert stability.saturation(gate, params, {"x": torch.zeros(2, 4, 5, 7).double()})


def test_names_beyond_the_declared_are_left_alone():
    gate, params, inputs = drawn("gru")
    assert stability.unroll(gate, {**params, "note": torch.ones(3)}, {**inputs, "mask": torch.ones(2)}).steps == 8
