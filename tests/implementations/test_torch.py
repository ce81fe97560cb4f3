"""eager, native and compile against float64 at odd sizes: T=1, B=1, H=1, H no multiple of 8, strided inputs."""

from dataclasses import replace

import pytest
import torch
from compiled_gates import ONE_OF_EACH_FAMILY

from gatebench import gates
from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.contract import Failure, Unsupported
from gatebench.measure import subject as subjects
from gatebench.measure.reference import ReferenceCache
from gatebench.measure.service import Service
from gatebench.measure.verify import verify, wrong_reason
from gatebench.registry import default_registry
from gatebench.shape import Shape

GATES = gates.names()
NATIVE = [name for name in GATES if default_registry().implementation("native", name) is not None]
PAIRS = [("eager", name) for name in GATES] + [("native", name) for name in NATIVE]
ODD = {
    "T=1": Shape(batch=3, seq_len=1, input_size=5, hidden_size=4),
    "B=1": Shape(batch=1, seq_len=5, input_size=4, hidden_size=8),
    "H=1": Shape(batch=2, seq_len=4, input_size=3, hidden_size=1),
    "H=13": Shape(batch=2, seq_len=19, input_size=7, hidden_size=13),
    "I=1": Shape(batch=2, seq_len=3, input_size=1, hidden_size=6),
}

SLOW = pytest.mark.slow
# Who refuses one hidden unit, and in which words.
NO_SINGLE_UNIT = {("eager", "lstm_layernorm"): "cell_norm = False", ("native", "lstm_projected"): "below hidden_size"}


def taken(gate, shape):
    """Return the shape, or, where the gate refuses it, the one with input_size = hidden_size."""
    try:
        gate.check_shape(shape)
    except Unsupported:
        return replace(shape, input_size=shape.hidden_size)
    return shape


def reason_wrong(
    gate, implementation, shape, mode="forward_backward", dtype="float32", strided=False, chunk=None, **options
):
    shape = taken(gates.get(gate, **options), shape)
    case = Case(
        gate=gate,
        implementation=implementation,
        shape=shape,
        mode=mode,
        dtype=dtype,
        gate_options=tuple(options.items()),
        implementation_options=() if chunk is None else (("chunk", chunk),),
    )
    subject = subjects.prepare(case, default_registry().implementation(implementation, gate))
    if strided:
        subject.buffers[0] = {name: every_second(value) for name, value in subject.buffers[0].items()}
        subject.targets[0] = [*subject.prepared.leaves.values(), *subject.buffers[0].values()]
    subjects.first_call(subject)
    return wrong_reason(verify(subject, ReferenceCache(), None))


def reason_or_refusal(gate, implementation, shape, dtype):
    """Return what reason_wrong does, or the first word of an `unsupported`."""
    try:
        return reason_wrong(gate, implementation, shape, dtype=dtype)
    except Failure as failure:
        return failure.reason.partition(":")[0]


def every_second(value):
    """Return the same numbers in memory with gaps: a view of every second element along the last axis."""
    wide = torch.full((*value.shape[:-1], 2 * value.shape[-1]), float("nan"), dtype=value.dtype)
    wide[..., ::2] = value.detach()
    return wide[..., ::2].requires_grad_(value.requires_grad)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize(("implementation", "gate"), PAIRS)
def test_odd_sizes_are_right(gate, implementation, shape, dtype):
    if shape == "H=1" and (implementation, gate) in NO_SINGLE_UNIT:
        with pytest.raises(Unsupported, match=NO_SINGLE_UNIT[implementation, gate]):
            reason_wrong(gate, implementation, ODD[shape], dtype=dtype)
        return
    if dtype == "bfloat16" and shape in ("H=1", "I=1"):
        # One feature: a gradient is one sum of cancelling terms, and eager itself may be off by a quarter.
        assert reason_or_refusal(gate, implementation, ODD[shape], dtype) in (None, "ill-conditioned")
        return
    assert reason_wrong(gate, implementation, ODD[shape], dtype=dtype) is None
    assert reason_wrong(gate, implementation, ODD[shape], dtype=dtype, mode="forward") is None


@pytest.mark.parametrize(("implementation", "gate"), PAIRS)
def test_strided_inputs_are_right(gate, implementation):
    assert reason_wrong(gate, implementation, ODD["H=13"], strided=True) is None


@pytest.mark.parametrize(("implementation", "gate"), [pair for pair in PAIRS if "packed" in gates.get(pair[1]).options])
def test_packed_inputs_are_right(gate, implementation):
    assert reason_wrong(gate, implementation, ODD["H=13"], packed=True) is None


@pytest.mark.parametrize(("implementation", "gate"), [pair for pair in PAIRS if pair[1].endswith("_ffn")])
def test_biases_are_right(gate, implementation):
    assert reason_wrong(gate, implementation, ODD["H=13"], bias=True) is None


def test_a_gate_without_a_numba_kernel_is_not_written_yet():
    case = Case(gate="reglu", implementation="numba", shape=ODD["T=1"])
    described = {"numba": {"unavailable": {}, "entries": [{"gates": ["glu"]}]}}
    assert Catalogue({}, described, {}).refusal(case) == ("unavailable", "numba for reglu is not written yet")


@pytest.mark.parametrize(
    ("gate", "options"),
    [("gated_attention", {"heads": 13, "causal": True, "granularity": "head"}), ("gated_attention", {"causal": True}),
     ("gated_conv", {"dimensions": 2, "kernel_size": 2, "width": 5})],
)  # fmt: skip
def test_native_takes_the_options_of_attention_and_convolution(gate, options):
    assert reason_wrong(gate, "native", ODD["H=13"], **options) is None


def test_native_refuses_a_slope_that_torch_has_no_operator_for():
    with pytest.raises(Unsupported, match=r"beta=2\.0"):
        reason_wrong("swiglu", "native", ODD["T=1"], beta=2.0)
    assert reason_wrong("swiglu", "eager", ODD["T=1"], beta=2.0) is None


@pytest.mark.parametrize(
    ("gate", "shape"), [pytest.param("rnn_tanh", "H=13", marks=pytest.mark.slow), ("swiglu", "T=1")]
)
def test_compile_is_right_at_two_odd_sizes(gate, shape):
    """In chunks as they are unless asked for otherwise: three of 19 steps are left over."""
    assert reason_wrong(gate, "compile", ODD[shape]) is None


# One gate of each kind at all odd sizes; the others differ from it by their formula alone. Those that the conformance kit
# has compiled it has at odd sizes, too: one step, one row, widths of 1, 5, 33.
EVERYWHERE = ("lstm", "glu", "swiglu_ffn")
COMPILED = [
    (gate, shape)
    for gate in GATES
    for shape in ODD
    if gate in EVERYWHERE or (shape == "H=13" and gate not in ONE_OF_EACH_FAMILY)
]


@pytest.mark.parametrize(("gate", "shape"), [pytest.param(*each, marks=SLOW) for each in COMPILED])
def test_compile_is_right_at_odd_sizes(gate, shape):
    # Chunks of 2 leave steps over, too (of 19 one), and compile in a third to a half of the time of the default 8.
    assert reason_wrong(gate, "compile", ODD[shape], chunk=2) is None
    assert reason_wrong(gate, "compile", ODD[shape], chunk=2, mode="forward") is None


@pytest.mark.parametrize(
    ("gate", "options"),
    [("rnn_tanh", {"bidirectional": True}),
     pytest.param("rnn_tanh", {"lengths": True}, marks=SLOW),
     pytest.param("lstm", {"lengths": True, "bidirectional": True, "num_layers": 3}, marks=SLOW)],
)  # fmt: skip
def test_compile_does_stacks_pass_by_pass(gate, options):
    service = Service("compile", [], 1)
    shape = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
    for mode in ("forward_backward", "forward"):
        case = Case(
            gate=gate, implementation="compile", shape=shape, mode=mode, gate_options=tuple(options.items()),
            implementation_options=(("chunk", 3),),
        )  # fmt: skip
        facts = service.prepare(case.to_json())
        # Chunks of 3, 3 and 1 steps: two graphs for each direction and, in a stack, for each width of input.
        widths = 2 if "num_layers" in options else 1
        assert facts["graphs"] == 2 * (2 if "bidirectional" in options else 1) * widths
        assert service.verify()["wrong"] is None


def test_compile_counts_graphs_and_says_what_ran():
    service = Service("compile", [], 1)
    # 11 steps in chunks of 4: two whole chunks share a graph, the rest of 3 steps needs another.
    shape = Shape(batch=2, seq_len=11, input_size=4, hidden_size=4)
    case = Case(gate="rnn_tanh", implementation="compile", shape=shape, implementation_options=(("chunk", 4),))
    facts = service.prepare(case.to_json())
    assert facts["graphs"] == 2
    assert facts["graph_breaks"] == 0
    assert ("compile_cold_ns" in facts) != ("compile_warm_ns" in facts)
    assert service.verify()["wrong"] is None
    service.warm(0.0, 0.1)
    assert service.sample(1)["wall_ns"] > 0
    assert service.profile()["kernel"] == "inductor: 2 graphs, chunk 4"


def test_compile_gives_each_shape_a_cache_of_its_own():
    # Dynamo falls back to eager after eight graphs of one code object: ten shapes must not be such.
    service = Service("compile", [], 1)
    for hidden in range(1, 11):
        shape = Shape(batch=1, seq_len=2, input_size=2, hidden_size=hidden)
        assert service.prepare(Case(gate="glu", implementation="compile", shape=shape).to_json())["graphs"] == 1


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize(
    ("gate", "operator"),
    [("rnn_tanh", "aten::rnn_tanh"), ("gru", "aten::gru"), ("glu", "aten::glu"), ("swiglu", "aten::silu"),
     ("glu_ffn", "aten::glu"), ("gated_conv", "aten::glu"),
     ("gated_attention", "aten::_scaled_dot_product_flash_attention_for_cpu"), ("rnn_relu", "aten::rnn_relu"), ("geglu_ffn", "aten::gelu"), ("reglu", "aten::relu")],
)  # fmt: skip
def test_native_names_the_operator_that_a_profile_saw(gate, operator, mode):
    service = Service("native", [], 1)
    service.prepare(Case(gate=gate, implementation="native", shape=ODD["H=13"], mode=mode).to_json())
    assert service.profile()["kernel"] == operator


def test_memory_is_counted_exactly_and_repeatably():
    service = Service("eager", [], 1)
    shape = Shape(batch=2, seq_len=8, input_size=16, hidden_size=16)
    found = []
    for _ in range(2):
        service.prepare(Case(gate="glu", implementation="eager", shape=shape, mode="forward_backward").to_json())
        found.append(service.profile())
    n = 2 * 8 * 16 * 4  # bytes of one tensor
    # value and gate are inputs; sigmoid(gate) is kept for both products.
    assert [profile["saved_bytes"] for profile in found] == [n, n]
    assert found[0]["peak_bytes"] == found[1]["peak_bytes"] >= 3 * n


def test_cudnn_is_unavailable_without_a_device():
    entry = default_registry().implementation("cudnn", "lstm")
    from gatebench.contract import Unavailable
    from gatebench.registry import check_available

    if torch.cuda.is_available():
        check_available(entry, "cuda")
    else:
        with pytest.raises(Unavailable, match="no CUDA device"):
            check_available(entry, "cpu")


@pytest.mark.parametrize("chunk", [2, 3])
def test_compile_has_the_gradients_that_buffers_written_in_place_get_wrong(chunk):
    # Inductor's own default (torch 2.13, CPU) is off by more than the gradient itself.
    shape = Shape(batch=3, seq_len=chunk, input_size=5, hidden_size=8)
    assert reason_wrong("mlstm", "compile", shape, chunk=chunk, heads=2) is None
