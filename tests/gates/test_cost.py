"""Costs against numbers worked out by hand, and against the operators that a call really makes."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gatebench import Shape, gates

SHAPE = Shape(batch=2, seq_len=3, input_size=5, hidden_size=4)  # B·T = 6 tokens
SQUARE = Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)
COUNTED = [name for name in gates.names() if gates.get(name).family in ("recurrent", "highway")]
TRANSCENDENTAL = ("sigmoid", "tanh", "exp", "log_sigmoid_forward")


class Counter(TorchDispatchMode):
    """Counts FLOPs of matrix products and elements that go through exp, tanh, ..."""

    def __init__(self):
        super().__init__()
        self.flops = self.transcendental = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm"):
            left, right = args[-2:]
            self.flops += 2 * math.prod(left.shape) * right.shape[-1]
        elif name in TRANSCENDENTAL:
            self.transcendental += args[0].numel()
        return found


def shape_of(gate):
    return SQUARE if gate.family == "highway" else SHAPE


def pointwise_peepholes(gate, shape):
    """Return the FLOPs of diagonal peepholes, which are no matrix product: 2 for each weight and token."""
    sizes = gate.parameters(shape)
    return 2 * 6 * sum(size[0] for name, size in sizes.items() if name.startswith("weight_c") and len(size) == 1)


@pytest.mark.parametrize("name", COUNTED)
def test_flops_and_transcendental_calls_are_those_that_eager_makes(name):
    gate = gates.get(name)
    shape = shape_of(gate)
    params, inputs = gate.draw(shape, 0), gate.inputs(shape, 0)
    leaves = [value.requires_grad_() for value in (*params.values(), *inputs.values())]
    forward, backward = Counter(), Counter()
    with forward:
        outputs = gate.forward(params, inputs)
    with backward:
        torch.autograd.grad(sum(value.sum() for value in outputs.values()), leaves)
    cost = gate.cost(shape, "forward", "float32")
    assert forward.flops + pointwise_peepholes(gate, shape) == cost.flops
    assert forward.transcendental == cost.transcendental
    assert backward.flops + 2 * pointwise_peepholes(gate, shape) == gate.cost(shape, "backward", "float32").flops


# Model FLOPs forward; transcendental calls per (b, t, h) forward, and backward, where gates are kept activated and only
# tanh(c_t), and sLSTM's σ(-f̃), are computed again; values moved forward and backward; all by hand.
BY_HAND = {
    # 6BTH on top of the LSTM's 2·6·16·9, or 6BTH²; parameters 16·(9+2), and 12 or 48 more
    "lstm_peephole": (1728 + 144, 5, 1, 30 + 188 + 24 + 32, 60 + 48 + 120 + 2 * 188),
    "lstm_peephole_full": (1728 + 576, 5, 1, 30 + 224 + 24 + 32, 60 + 48 + 120 + 2 * 224),
    # three blocks: 2·6·12·9; parameters 12·11
    "lstm_coupled": (1296, 4, 1, 30 + 132 + 24 + 32, 60 + 48 + 96 + 2 * 132),
    # P = 2: 2·6·16·(5+2) + 2·6·8; parameters 16·7 + 32 + 8; output 6·2; state 2·2·(2+4)
    "lstm_projected": (1344 + 96, 5, 1, 30 + 152 + 12 + 24, 60 + 24 + 120 + 2 * 152),
    # parameters 16·9 + 16 + 4·16 + 2·4
    "lstm_layernorm": (1728, 5, 1, 30 + 232 + 24 + 32, 60 + 48 + 13 * 24 + 2 * 232),
    "lstm_no_input_gate": (1296 + 96, 4, 1, 30 + 140 + 24 + 32, 60 + 48 + 96 + 2 * 140),
    "lstm_no_forget_gate": (1296 + 96, 4, 1, 30 + 140 + 24 + 32, 60 + 48 + 96 + 2 * 140),
    "lstm_no_output_gate": (1296 + 96, 4, 0, 30 + 140 + 24 + 32, 60 + 48 + 96 + 2 * 140),
    "lstm_no_input_activation": (1872, 4, 1, 30 + 188 + 24 + 32, 60 + 48 + 120 + 2 * 188),
    "lstm_no_output_activation": (1872, 4, 0, 30 + 188 + 24 + 32, 60 + 48 + 120 + 2 * 188),
    # 18BTH² more; 9·16 more parameters; a state of 5H
    "lstm_gate_recurrence": (1872 + 1728, 5, 1, 30 + 332 + 24 + 80, 60 + 48 + 120 + 2 * 332),
    # a state of 4H; i, f, z, o, c, n and f before its activation are kept
    "slstm": (1728, 5, 1, 30 + 176 + 24 + 64, 60 + 48 + 168 + 2 * 176),
    # 2·6·(20 + 16 + 16); parameters 20 + 4 + 32 + 4
    "minimal_rnn": (624, 2, 0, 30 + 60 + 24 + 16, 60 + 48 + 48 + 2 * 60),
    # 4nd², 6nd²; parameters 2·(16 + 4), 3·(16 + 4)
    "highway": (384, 2, 0, 48 + 40, 72 + 48 + 80),
    "highway_uncoupled": (576, 3, 0, 48 + 60, 72 + 72 + 120),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_costs_equal_numbers_worked_out_by_hand(name):
    gate = gates.get(name)
    flops, calls, calls_back, moved, moved_back = BY_HAND[name]
    forward, backward, both = (
        gate.cost(shape_of(gate), mode, "bfloat16") for mode in ("forward", "backward", "forward_backward")
    )
    assert (forward.flops, forward.transcendental, forward.bytes_min) == (flops, calls * 24, 2 * moved)
    assert (backward.flops, backward.transcendental, backward.bytes_min) == (2 * flops, calls_back * 24, 2 * moved_back)
    assert both.flops == 3 * flops
    assert both.transcendental == forward.transcendental + backward.transcendental
    assert both.bytes_min > forward.bytes_min + backward.bytes_min  # what is kept is written, too


def test_options_that_leave_work_out_cost_less():
    plain = gates.get("minimal_rnn", embedding="none")
    assert plain.cost(SQUARE, "forward", "float32").flops == 2 * 6 * 32
    assert plain.cost(SQUARE, "forward", "float32").transcendental == 24
    exp = gates.get("slstm", forget="exp")
    assert exp.cost(SHAPE, "forward", "float32").transcendental == 4 * 24
    kept = gates.get("slstm").cost(SHAPE, "backward", "float32").bytes_min
    assert kept - exp.cost(SHAPE, "backward", "float32").bytes_min == 4 * 24
    assert gates.get("highway", activation="relu").cost(SQUARE, "forward", "float32").transcendental == 24
    bare = gates.get("lstm_layernorm", affine=False).cost(SHAPE, "forward", "float32")
    assert gates.get("lstm_layernorm").cost(SHAPE, "forward", "float32").bytes_min - bare.bytes_min == 4 * 72
