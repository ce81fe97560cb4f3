"""Helper of test_numba: runs a prepared case with cotangents on every output and compares with float64."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from gatebench import gates
from gatebench.cases import Case
from gatebench.contract import Prepared
from gatebench.gates import Gate
from gatebench.registry import default_registry
from gatebench.shape import Shape

# By dtype: largest error_ratio and relative error (the contract's own limits), unit round-off.
LIMITS = {"float32": (10.0, 1e-3, 2.0**-24), "float64": (10.0, 1e-9, 2.0**-53)}

Results = dict[str, Tensor]


class Problem:
    """A gate at a shape in a dtype, with its numbers drawn; `prepared` is the numba implementation of it."""

    def __init__(self, name: str, shape: tuple[int, int, int, int], dtype: str, threads: int = 1, **options: object):
        self.gate: Gate = gates.get(name, **options)
        sizes = dict(zip(("batch", "seq_len", "input_size", "hidden_size"), shape, strict=True))
        if name == "highway":  # its input and output are equally wide
            sizes["input_size"] = sizes["hidden_size"]
        self.shape, self.dtype = Shape(**sizes), dtype
        self.case = Case(
            gate=name, implementation="numba", shape=self.shape, dtype=dtype, threads=threads,
            gate_options=tuple(sorted(options.items())),
        )  # fmt: skip
        self.params = {key: self.rounded(value) for key, value in self.gate.draw(self.shape, 0).items()}
        self.inputs = {key: self.rounded(value) for key, value in self.gate.inputs(self.shape, 0).items()}

    def rounded(self, value: Tensor) -> Tensor:
        return value.to(getattr(torch, self.dtype))

    def prepare(self) -> Prepared:
        entry = default_registry().implementation("numba", self.gate.name)
        assert entry is not None
        return entry.prepare(self.gate, self.case, self.params)

    def eager(self, dtype: torch.dtype) -> Results:
        """Return eager's outputs and gradients in a dtype, from the same rounded numbers."""
        params = {key: value.to(dtype) for key, value in self.params.items()}
        inputs = {key: value.to(dtype) for key, value in self.inputs.items()}
        return differentiate(Prepared(self.gate.forward, params), inputs)

    def expected(self) -> tuple[Results, dict[str, float]]:
        """Return the float64 reference and eager's error for each tensor."""
        reference, single = self.eager(torch.float64), self.eager(torch.float32)
        if self.dtype == "float32":
            return reference, {key: error(single[key], reference[key]) for key in reference}
        coarse = Problem.__new__(Problem)
        coarse.__dict__ = {
            **self.__dict__,
            "params": {key: value.float() for key, value in self.params.items()},
            "inputs": {key: value.float() for key, value in self.inputs.items()},
        }
        exact = coarse.eager(torch.float64)
        return reference, {key: error(single[key], exact[key]) * 2.0**-29 for key in exact}

    def check(self, results: Mapping[str, Tensor]) -> None:
        """Assert that results are as near to the reference as the contract wants, every gate block by itself."""
        reference, eager_errors = self.expected()
        ratio_limit, relative_limit, unit = LIMITS[self.dtype]
        for key, value in results.items():
            assert value.shape == reference[key].shape, key
            assert value.dtype == getattr(torch, self.dtype), key
            blocks = max(1, len(self.gate.blocks(key.removeprefix("grad:")))) if key.startswith("grad:") else 1
            pairs = zip(value.chunk(blocks), reference[key].chunk(blocks), strict=True)
            for block, (got, want) in enumerate(pairs):
                largest, wrong = size(want), error(got, want)
                allowed = ratio_limit * max(eager_errors[key], unit * largest)
                assert wrong <= min(allowed, relative_limit * largest), (
                    key,
                    block,
                    wrong / (allowed or 1) * ratio_limit,
                )


def size(value: Tensor) -> float:
    return value.abs().max().item() if value.numel() else 0.0


def error(got: Tensor, want: Tensor) -> float:
    """Return the largest absolute error; NaN where there is one."""
    return size(got.double() - want.double())


Called = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]


def call(prepared: Prepared, inputs: Mapping[str, Tensor]) -> Called:
    """Run the forward; returns leaves, inputs and results, ready to be differentiated."""
    leaves = {key: value.detach().requires_grad_() for key, value in prepared.leaves.items()}
    inputs = {key: value.detach().requires_grad_() for key, value in inputs.items()}
    return leaves, inputs, dict(prepared.forward(leaves, inputs))


def pull(prepared: Prepared, called: Called, outputs: tuple[str, ...] | None = None) -> Results:
    """Return outputs, and gradients of everything as "grad:<name>"; cotangents on all outputs, or on those named."""
    leaves, inputs, results = called
    chosen = {key: results[key] for key in outputs or results}
    generator = torch.Generator().manual_seed(7)
    cotangents = [torch.randn(v.shape, generator=generator, dtype=torch.float64).to(v.dtype) for v in chosen.values()]
    wanted = [*inputs.values(), *leaves.values()]
    found = torch.autograd.grad(list(chosen.values()), wanted, cotangents)
    by_input = dict(zip(inputs, found[: len(inputs)], strict=True))
    by_leaf = prepared.canonical(dict(zip(leaves, found[len(inputs) :], strict=True)))
    gradients = {f"grad:{key}": value for key, value in {**by_input, **by_leaf}.items()}
    return {**{key: value.detach() for key, value in results.items()}, **gradients}


def differentiate(prepared: Prepared, inputs: Mapping[str, Tensor], outputs: tuple[str, ...] | None = None) -> Results:
    """Run the forward and the backward at once."""
    return pull(prepared, call(prepared, inputs), outputs)


def test_check_rejects_a_wrong_value_and_nan() -> None:
    problem = Problem("lstm", (2, 3, 2, 5), "float32")
    right = {key: problem.rounded(value) for key, value in problem.eager(torch.float64).items()}
    problem.check(right)
    for wrong in (1.001, float("nan")):
        gradient = right["grad:weight_hh"].clone()
        gradient[7] *= wrong  # one row, in the block of the forget gate
        with pytest.raises(AssertionError, match="grad:weight_hh"):
            problem.check({**right, "grad:weight_hh": gradient})
