"""What the kit cannot know: options, what is kept for the backward, shared memory, and the threads of JAX's client."""

import os
import subprocess
import sys
import time

import pytest
import torch
from gatebench_jax.client import claim_threads, pool_threads
from gatebench_jax.program import to_jax, to_torch

import gatebench
from gatebench import gates
from gatebench.cases import Case
from gatebench.measure.service import Service
from gatebench.registry import default_registry

SHAPE = gatebench.Shape(batch=3, seq_len=4, input_size=5, hidden_size=7)
WIDE = gatebench.Shape(batch=16, seq_len=64, input_size=512, hidden_size=512)


def prepared(gate, shape=SHAPE, threads=1, dtype="float32"):
    """Let the plugin prepare for a gate; returns it with leaves and inputs that require gradients."""
    entry = default_registry().implementation("jax:jit", gate.name)
    options = tuple(sorted(gate.option_values))
    case = Case(gate=gate.name, implementation="jax:jit", shape=shape, threads=threads, dtype=dtype, gate_options=options)  # fmt: skip
    wanted = getattr(torch, dtype)
    params = {name: value.to(wanted).requires_grad_() for name, value in gate.draw(shape, 0).items()}
    inputs = {name: value.to(wanted).requires_grad_() for name, value in gate.inputs(shape, 0).items()}
    return entry.prepare(gate, case, params), params, inputs


@pytest.mark.parametrize("options", [{"beta": 2.5}, {"bias": True}, {"beta": 0.0, "bias": True}])
def test_beta_and_bias_are_those_of_the_reference(options):
    gate = gates.get("swiglu_ffn", **options)
    found, params, inputs = prepared(gate, dtype="float64")
    given = [*params.values(), *inputs.values()]
    mine = found.forward(params, inputs)["output"]
    theirs = gate.forward(params, inputs)["output"]
    torch.testing.assert_close(mine, theirs)
    upstream = torch.arange(1.0, 1.0 + mine.numel(), dtype=torch.float64).view_as(mine).sin()
    for gradient, expected in zip(torch.autograd.grad(mine, given, upstream), torch.autograd.grad(theirs, given, upstream), strict=True):  # fmt: skip
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("option", "value"), [("num_layers", 2), ("bidirectional", True)])
def test_an_option_that_it_does_not_know_is_refused(option, value):
    prepared(gates.get("lstm"))
    with pytest.raises(gatebench.Unsupported, match=f"{option}={value}"):
        prepared(gates.get("lstm", **{option: value}))


# --- what is kept


def saved(gate, shape=SHAPE):
    """Return the tensors that a forward saves, and the names of the operands among them."""
    found, params, inputs = prepared(gate, shape)
    owners = {value.data_ptr(): name for name, value in {**params, **inputs}.items()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        found.forward(params, inputs)
    return kept, {owners[value.data_ptr()] for value in kept if value.data_ptr() in owners}


RECURRENT = {"weight_ih", "weight_hh", "x"}


@pytest.mark.parametrize(
    ("name", "operands"), [("lstm", RECURRENT), ("gru", RECURRENT), ("swiglu_ffn", {"W", "V", "W2", "x"})]
)
def test_operands_are_saved_themselves_and_no_copy_of_a_weight(name, operands):
    gate = gates.get(name)
    kept, found = saved(gate)
    assert found == operands
    weights = {size for size in gate.parameters(SHAPE).values() if len(size) == 2}
    assert sum(tuple(value.shape) in weights for value in kept) == len(operands - {"x"})


def test_the_backward_computes_no_product_of_the_forward_again():
    found, params, inputs = prepared(gates.get("swiglu_ffn"))
    node = found.forward(params, inputs)["output"].grad_fn
    arguments = (node.recipe, tuple(map(to_jax, node.saved_tensors)), (to_jax(torch.ones(3, 4, 5)),))
    text = node.program.backward.lower(*arguments).as_text()
    assert text.count("stablehlo.dot_general") == 6  # for each of the three products one per operand; again would be 8


def test_aligned_tensors_are_shared_with_jax_and_back():
    claim_threads(1)
    tensor = torch.arange(64.0)
    array = to_jax(tensor)
    assert array.unsafe_buffer_pointer() == tensor.data_ptr()
    assert to_torch(array).data_ptr() == tensor.data_ptr()
    assert to_jax(tensor[3:]).tolist() == tensor[3:].tolist()


# --- threads


def test_the_client_has_the_threads_of_the_case_and_no_others():
    claim_threads(1)
    assert pool_threads() == 1
    assert "PJRT_NPROC" not in os.environ
    with pytest.raises(gatebench.Unsupported, match=r"a pool of 1 .* the case has 2 threads"):
        prepared(gates.get("lstm"), threads=2)


def test_memory_that_torch_does_not_allocate_is_not_called_known():
    service = Service("jax:jit", [], 1)
    service.prepare(Case(gate="lstm", implementation="jax:jit", shape=SHAPE, mode="forward").to_json())
    assert service.profile()["peak_bytes"] is None


def test_one_thread_takes_no_more_than_one_core():
    found, params, inputs = prepared(gates.get("swiglu_ffn"), WIDE)
    for _ in range(2):  # the first call compiles, with threads of its own
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(5):
            found.forward(params, inputs)["output"].sum().backward()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.2 * wall


def test_a_client_that_has_started_already_is_refused():
    code = """
import jax, torch, gatebench
jax.devices("cpu")
from gatebench_jax.client import claim_threads, pool_threads
try:
    claim_threads(pool_threads() + 1)
except gatebench.Unsupported as refusal:
    print(refusal)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "and keeps it" in done.stdout
