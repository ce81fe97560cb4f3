"""A plugin for GateBench: `jax:jit`, gates by jax.jit and jax.lax.scan on the CPU."""

from collections.abc import Mapping
from functools import partial

import jaxlib
from jax import Array
from torch import Tensor

import gatebench
from gatebench.cases import Case
from gatebench.gates import Gate
from gatebench_jax import functions
from gatebench_jax.client import claim_threads, pool_threads
from gatebench_jax.functions import Function
from gatebench_jax.program import Program


@gatebench.prepared_implementation(
    "jax:jit",
    gates=["lstm", "gru", "swiglu_ffn"],
    devices=["cpu"],
    dtypes=["float32", "float64", "bfloat16"],
    compiles=True,
    torch_memory=False,
)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> gatebench.Prepared:
    """Start JAX with the case's threads; what is compiled is compiled at the first call."""
    claim_threads(case.threads)
    function = function_of(gate)
    parameter_names, input_names = list(params), list(gate.input_shapes(case.shape))
    output_names = ["output", *gate.state(case.shape)]

    def flat(*operands: Array) -> tuple[Array, ...]:
        named = dict(zip([*parameter_names, *input_names], operands, strict=True))
        outputs = function(named, named)
        return tuple(outputs[name] for name in output_names)

    program = Program(flat, x64=case.dtype == "float64")

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        operands = [*(leaves[name] for name in parameter_names), *(inputs[name] for name in input_names)]
        return dict(zip(output_names, program(*operands), strict=True))

    return gatebench.Prepared(forward, params, kernel=kernel, threads=pool_threads)


def function_of(gate: Gate) -> Function:
    """Return the function that computes a gate; raises Unsupported for an option that it does not know."""
    known = {"bias", "beta"} if gate.name == "swiglu_ffn" else set()
    for name, value in gate.option_values:
        if name not in known and value != gate.options[name].default:
            raise gatebench.Unsupported(f"jax:jit does not know {name}={value} of {gate.name}")
    if gate.name == "swiglu_ffn":
        return partial(functions.swiglu_ffn, beta=gate["beta"])
    return {"lstm": functions.lstm, "gru": functions.gru}[gate.name]


def kernel() -> str:
    """Say what computes."""
    count = pool_threads()
    return f"XLA:CPU of jaxlib {jaxlib.__version__}, {count} thread{'' if count == 1 else 's'}"
