"""`triton` against float64, torch's modules and closed forms: on a CUDA device, or in Triton's interpreter on the CPU."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gatebench import gates
from gatebench.conformance import Trial, run_check
from gatebench.contract import Unavailable, Unsupported
from gatebench.gates.glu.pointwise import swish
from gatebench.registry import check_available, default_registry
from gatebench.shape import Shape

pytest.importorskip("triton", reason="Triton is not installed: pip install '.[triton]'")

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
POINTWISE = ("glu", "bilinear", "reglu", "geglu", "geglu_tanh", "swiglu", "gtu")
RECURRENT = ("lstm", "gru")
FORMS = [
    *((name, {}) for name in (*RECURRENT, *POINTWISE)),
    *((name, {"packed": True}) for name in POINTWISE),
    *((f"{name}_ffn", {"bias": bias}) for bias in (False, True) for name in POINTWISE),
    ("swiglu", {"beta": 1.7}),
    ("swiglu_ffn", {"beta": 0.3, "bias": True}),
]  # fmt: skip
# Around the tiles: of 256 elements for recurrent gates, of 1024 for the others.
SHAPES = {
    "T=1": Shape(batch=3, seq_len=1, input_size=5, hidden_size=4),
    "H=1": Shape(batch=2, seq_len=4, input_size=3, hidden_size=1),
    "H=13": Shape(batch=2, seq_len=9, input_size=1, hidden_size=13),
    "H=257": Shape(batch=1, seq_len=2, input_size=7, hidden_size=257),
}


@pytest.fixture(scope="module", autouse=True)
def _kernels():
    """Without a device the interpreter runs the kernels, if the environment says so when they are defined."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setenv("TRITON_INTERPRET", "1")
        from gatebench.implementations.triton import cells, pointwise  # noqa: F401

        yield


def trial(name, **options):
    """Put the entry on trial on the device of these tests, which for the interpreter is one that it does not claim."""
    entry = default_registry().implementation("triton", name)
    return Trial(replace(entry, devices=(DEVICE,), available=None), gates.get(name, **options), DEVICE)


def gated(kinds, *inputs):
    from gatebench.implementations.triton.pointwise import Gated, Kinds

    return Gated.apply(Kinds(*kinds), *inputs)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), FORMS, ids=str)
def test_outputs_and_gradients_are_right_at_odd_sizes_in_every_dtype(name, options, shape):
    found = trial(name, **options)
    for dtype in found.entry.dtypes:
        found.agree(found.case(SHAPES[shape], dtype))


@pytest.mark.parametrize("options", [{}, {"packed": True}], ids=str)
@pytest.mark.parametrize("width", [1023, 1024, 1025, 2048])
def test_rows_of_several_tiles_are_right(width, options):
    found = trial("swiglu", **options)
    found.agree(found.case(Shape(batch=1, seq_len=3, input_size=1, hidden_size=width)))


# NumPy, in the interpreter, warns of inf - inf even where a kernel then selects the other branch.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(
    "check",
    [
        "empty-batch", "inputs-non-contiguous", "inputs-with-an-offset", "inputs-expanded", "inputs-unchanged",
        "outputs-alias-nothing", "outputs-stay", "every-gradient-flows", "weights-are-read-anew",
        "forward-without-gradients", "final-state-is-the-last-step", "gradients-of-the-final-state", "split-sequence",
        "halves-in-order", "nan-goes-through", "infinity-is-a-number", "gradcheck",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {}),
        pytest.param("gru", {}, marks=pytest.mark.slow),
        ("swiglu", {"packed": True}),
        ("geglu_ffn", {"bias": True}),
    ],
    ids=str,
)
def test_it_keeps_the_rules_of_the_conformance_kit(name, options, check):
    result = run_check(trial(name, **options), check)
    assert result.status != "failed", result.message


# --- against numbers from elsewhere


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("identity", torch.clone), ("relu", F.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("gelu", F.gelu),
        ("gelu_tanh", lambda u: F.gelu(u, approximate="tanh")), ("swish", F.silu),
    ],
)  # fmt: skip
def test_an_activation_and_its_slope_are_torchs(kind, function):
    u = torch.linspace(-12, 12, 1001, dtype=torch.float64, device=DEVICE)  # 0 among them: relu's slope there is 0
    ours, theirs = u.clone().requires_grad_(), u.clone().requires_grad_()
    cotangent = torch.cos(u)
    output, expected = gated(("identity", kind), torch.full_like(u, 3.0), ours), 3.0 * function(theirs)
    torch.testing.assert_close(output, expected, rtol=1e-14, atol=1e-14)
    output.backward(cotangent)
    expected.backward(cotangent)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-13, atol=1e-13)


def test_a_packed_glu_and_its_gradient_are_torchs_for_a_transposed_cotangent():
    x = torch.randn(3, 5, 14, dtype=torch.float64, device=DEVICE)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    cotangent = torch.randn(7, 5, 3, dtype=torch.float64, device=DEVICE).transpose(0, 2)
    output, expected = gated(("identity", "sigmoid"), ours), F.glu(theirs)
    torch.testing.assert_close(output, expected, rtol=1e-14, atol=1e-15)
    output.backward(cotangent)
    expected.backward(cotangent)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-13, atol=1e-14)


def test_swish_takes_its_slope_exactly_in_float64():
    u = torch.linspace(-9, 9, 77, dtype=torch.float64, device=DEVICE)
    output = gated(("identity", "swish", 0.1), torch.ones_like(u), u)  # 0.1 in float32 is 1.5e-9 off
    torch.testing.assert_close(output, swish(u, 0.1), rtol=1e-14, atol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-15)], ids=str)
def test_tanh_has_a_small_relative_error_near_zero_too(dtype, tolerance):
    u = torch.cat(
        (torch.logspace(-30, 1, 999, dtype=torch.float64), torch.linspace(0.4, 0.6, 999, dtype=torch.float64))
    )
    u = torch.cat((u, -u)).to(DEVICE, dtype)
    value = gated(("tanh", "identity"), u, torch.ones_like(u))
    torch.testing.assert_close(value.double(), torch.tanh(u.double()), rtol=tolerance, atol=0)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_huge_values_saturate_and_nan_stays():
    u = torch.tensor([-torch.inf, -1e4, 1e4, torch.inf, torch.nan], device=DEVICE)
    ones = torch.ones_like(u)
    expected = {"sigmoid": [0, 0, 1, 1], "tanh": [-1, -1, 1, 1], "relu": [0, 0, 1e4, torch.inf]}
    for kind, values in expected.items():
        found = gated(("identity", kind), ones, u)
        assert found[:4].tolist() == values
        assert found[4].isnan()


@pytest.mark.parametrize(("name", "module"), [("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)])
def test_outputs_and_gradients_are_those_of_torchs_module(name, module):
    found = trial(name)
    case = found.case(Shape(batch=3, seq_len=5, input_size=4, hidden_size=6), "float64")
    params, inputs = found.params(case), found.inputs(case)
    network = module(4, 6, dtype=torch.float64, device=DEVICE)
    with torch.no_grad():
        for key, value in params.items():
            getattr(network, f"{key}_l0").copy_(value)
    x, *states = (value.clone().requires_grad_() for value in inputs.values())
    start = [state[None] for state in states]
    output, final = network(x, tuple(start) if name == "lstm" else start[0])
    finals = [state[0] for state in (final if name == "lstm" else (final,))]
    expected = [output, *finals]
    weights = [getattr(network, f"{key}_l0") for key in params]
    cotangents = [torch.randn_like(value.mT.contiguous()).mT for value in expected]  # dense, but not in C order
    wanted = torch.autograd.grad(expected, [x, *states, *weights], cotangents)

    bound = found.bind(case, params)
    outputs = bound(inputs)
    for ours, theirs in zip(outputs.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    gradients = bound.gradients(outputs, inputs, dict(zip(outputs, cotangents, strict=True)))
    for key, theirs in zip([*inputs, *params], wanted, strict=True):
        torch.testing.assert_close(gradients[key], theirs, rtol=1e-11, atol=1e-13)


def test_the_memory_of_an_lstm_is_carried_in_float32():
    """With gates wide open, c grows by tanh(0.0078) a step; in bfloat16, which has 8 bits, it would stop at 2."""
    found = trial("lstm")
    case = found.case(Shape(batch=1, seq_len=400, input_size=1, hidden_size=1), "bfloat16")
    params = {name: torch.zeros_like(value) for name, value in found.params(case).items()}
    params["bias_ih"] = torch.tensor([20, 20, 2.0**-7, 0], dtype=torch.bfloat16, device=DEVICE)
    inputs = {name: torch.zeros_like(value) for name, value in found.inputs(case).items()}
    assert float(found.bind(case, params).without_gradients(inputs)["c"]) == pytest.approx(400 / 128, rel=0.01)


# --- what it claims, refuses, and says of itself


def test_the_whole_glu_family_lstm_and_gru_are_served_on_cuda_alone():
    served = {name for name in gates.names() if default_registry().implementation("triton", name)}
    assert served == {name for name, _ in FORMS}
    assert {default_registry().implementation("triton", name).devices for name in served} == {("cuda",)}


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"lengths": True}], ids=str)
@pytest.mark.parametrize("name", RECURRENT)
def test_stacked_bidirectional_and_ragged_forms_are_refused(name, options):
    found = trial(name, **options)
    with pytest.raises(Unsupported, match="triton does one layer, one direction, and rows of full length"):
        found.bind(found.case(SHAPES["T=1"]))


def test_without_a_device_or_triton_it_is_unavailable_and_says_why(monkeypatch):
    entry = default_registry().implementation("triton", "glu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cpu", "cuda"):
        with pytest.raises(Unavailable, match=r"^no CUDA device$"):
            check_available(entry, device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check_available(entry, "cuda")
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(Unavailable, match=r"triton.*; in the checkout: pip install '\.\[triton\]'"):
        check_available(entry, "cuda")


@pytest.mark.parametrize(
    ("name", "options", "kernel", "block"),
    [("lstm", {}, "lstm", 16), ("gru", {}, "gru", 16), ("glu", {}, "gate", 256), ("glu", {"packed": True}, "gate", 16),
     ("gtu_ffn", {}, "gate", 16)],
)  # fmt: skip
def test_the_detail_names_kernels_and_block(name, options, kernel, block):
    from gatebench.implementations.triton import cells, pointwise

    found, modes = trial(name, **options), {"forward": ["forward"], "forward_backward": ["forward", "backward"]}
    for mode, directions in modes.items():
        case = replace(found.case(SHAPES["H=13"]), mode=mode)
        detail = found.bind(case).prepared.detail()
        assert detail["kernels"] == [f"triton_{kernel}_{direction}" for direction in directions]
        assert all(name in {**vars(cells), **vars(pointwise)} for name in detail["kernels"])
        assert all(found.entry.attest in name for name in detail["kernels"])
        assert detail["block"] == block


def test_knowing_the_implementation_does_not_load_triton():
    code = "import sys, gatebench.implementations.triton; print('triton' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from gatebench.implementations.triton import cells, pointwise
from gatebench.implementations.triton.glu import ACTIVATIONS
from gatebench.implementations.triton.settings import LAUNCH

def build(kernel, dtype, **constants):
    signature = {name: "i32" if name in ("width", "stride") else f"*{dtype}" for name in kernel.arg_names}
    source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
    for capability in (80, 90):
        built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=LAUNCH)
        print(kernel.__name__, dtype, len(built.asm["cubin"]) > 0)

dtype = sys.argv[1]
for value, gate in ACTIVATIONS.values():
    for kernel in (pointwise.triton_gate_forward, pointwise.triton_gate_backward):
        build(kernel, dtype, VALUE=value, GATE=gate, BETA=1.7, BLOCK=pointwise.BLOCK)
for keep in (False, True):
    build(cells.triton_lstm_forward, dtype, KEEP=keep, BLOCK=256)
    build(cells.triton_gru_forward, dtype, KEEP=keep, BLOCK=256)
build(cells.triton_lstm_backward, dtype, BLOCK=256)
build(cells.triton_gru_backward, dtype, BLOCK=256)
"""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp64"])
def test_every_kernel_compiles_for_compute_capability_8_and_9_without_a_warning(dtype, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"PYTHONWARNINGS": "error", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE, dtype]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    built = done.stdout.splitlines()
    assert len(built) == 2 * (2 * len(POINTWISE) + 6)
    assert all(line.endswith("True") for line in built)
