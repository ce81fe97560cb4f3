"""The numba implementation against the float64 reference, at sizes where padding, tails and splits can go wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
import torch
from test_numba_problem import Problem, call, differentiate, pull

from gatebench.contract import Unsupported

LSTMS = ("lstm", "lstm_peephole", "lstm_coupled")
RECURRENT = (*LSTMS, "rnn_linear", "rnn_tanh", "rnn_relu", "gru", "gru_reset_before", "gru_textbook")
PLAIN_GLU = ("bilinear", "reglu", "geglu", "geglu_tanh", "gtu")
GLU = (
    ("glu", {}), ("glu", {"packed": True}), ("swiglu", {}), ("swiglu", {"beta": 1.7}),
    ("swiglu", {"beta": 0.3, "packed": True}), ("swiglu_ffn", {}), ("swiglu_ffn", {"beta": 2.5, "bias": True}),
    ("glu_ffn", {"bias": True}), *((name, {"packed": True}) for name in PLAIN_GLU),
    *((name, {}) for name in PLAIN_GLU), *((f"{name}_ffn", {"bias": name < "f"}) for name in PLAIN_GLU),
)  # fmt: skip
HIGHWAY = (("highway", {}), ("highway", {"activation": "relu", "gate_bias": 0.5}))
ALL = (*((name, {}) for name in RECURRENT), *GLU, *HIGHWAY)
# (B, T, I, H): below and above one register (4 to 16 lanes), one panel (4 to 64 units), one tile (4 rows), one
# part of a sum (256 steps).
SHAPES = [(1, 1, 1, 1), (3, 5, 7, 33), (1, 9, 4, 13), (7, 1, 2, 64), (2, 3, 65, 129), (17, 4, 3, 100), (2, 3, 300, 270)]
# Recurrent kernels are compiled for each dtype, for seconds: float64 of one gate here, of the others among the slow.
DOUBLE = ("gru",)


def agrees(name, options, shape, dtype):
    problem = Problem(name, shape, dtype, threads=1 + shape[3] % 2, **options)
    problem.check(differentiate(problem.prepare(), problem.inputs))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_outputs_and_gradients_agree_with_the_reference(name, options, shape) -> None:
    agrees(name, options, shape, "float32")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(*each, marks=[pytest.mark.slow] * (each[0] in RECURRENT and each[0] not in DOUBLE)) for each in ALL],
    ids=str,
)
def test_outputs_and_gradients_agree_with_the_reference_in_float64(name, options, shape) -> None:
    agrees(name, options, shape, "float64")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_every_thread_count_is_right_on_a_long_sequence(name, options, threads) -> None:
    if threads > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("one core")
    problem = Problem(name, (4, 70, 48, 160), "float32", threads=threads, **options)
    problem.check(differentiate(problem.prepare(), problem.inputs))


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_without_gradients_the_outputs_are_the_same(name, options) -> None:
    problem = Problem(name, (3, 6, 5, 37), "float32", **options)
    prepared = problem.prepare()
    with torch.no_grad():
        lean = prepared.forward(prepared.leaves, problem.inputs)
    assert all(not value.requires_grad for value in lean.values())
    full = differentiate(prepared, problem.inputs)
    for key, value in lean.items():
        torch.testing.assert_close(value, full[key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "part"),
    [*((name, part) for name in RECURRENT for part in ("output", "h")), *((name, "c") for name in LSTMS)],
)
def test_a_cotangent_on_one_output_alone_is_respected(name, part) -> None:
    problem = Problem(name, (2, 4, 3, 19), "float32")
    prepared = problem.prepare()
    got = differentiate(prepared, problem.inputs, (part,))
    want = differentiate(
        type(prepared)(problem.gate.forward, problem.params), problem.inputs, (part,)
    )  # fmt: skip
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_non_contiguous_inputs_and_cotangents_are_read_right(name, options) -> None:
    problem = Problem(name, (3, 4, 6, 22), "float32", **options)
    prepared = problem.prepare()
    strided = {key: value.repeat_interleave(2, -1)[..., ::2] for key, value in problem.inputs.items()}
    turned = {key: value.transpose(0, 1).contiguous().transpose(0, 1) for key, value in problem.inputs.items()}
    for inputs in (strided, turned):
        problem.check(differentiate(prepared, inputs))
    leaves = {key: value.detach().requires_grad_() for key, value in problem.inputs.items()}
    prepared.forward(prepared.leaves, leaves)["output"].sum().backward()  # an expanded cotangent, stride 0
    want = {key: value.detach().requires_grad_() for key, value in problem.inputs.items()}
    problem.gate.forward(problem.params, want)["output"].sum().backward()
    for key, value in want.items():
        torch.testing.assert_close(leaves[key].grad, value.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_inputs_and_leaves_stay_as_they_were_and_nothing_is_shared(name, options) -> None:
    problem = Problem(name, (2, 1, 5, 21), "float32", **options)
    prepared = problem.prepare()
    read = {**prepared.leaves, **{f"input {key}": value for key, value in problem.inputs.items()}}
    before = {key: value.clone() for key, value in read.items()}
    results = differentiate(prepared, problem.inputs)
    for key, value in before.items():
        assert torch.equal(read[key], value), key
    outputs = [value for key, value in results.items() if not key.startswith("grad:")]
    storages = [value.untyped_storage().data_ptr() for value in (*outputs, *read.values(), *problem.params.values())]
    assert len(set(storages)) == len(storages)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_graph_can_be_walked_twice(name) -> None:
    problem = Problem(name, (2, 5, 3, 18), "float32")
    prepared = problem.prepare()
    leaves = {key: value.detach().requires_grad_() for key, value in prepared.leaves.items()}
    output = prepared.forward(leaves, problem.inputs)["output"]
    cotangent = torch.ones_like(output)
    first = torch.autograd.grad(output, list(leaves.values()), cotangent, retain_graph=True)
    again = torch.autograd.grad(output, list(leaves.values()), cotangent)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_two_prepared_cases_do_not_disturb_each_other(name, options) -> None:
    shapes, most = [(2, 5, 3, 18), (3, 7, 4, 70)], min(2, numba.config.NUMBA_NUM_THREADS)
    problems = [
        Problem(name, shape, "float32", threads=n, **options) for shape, n in zip(shapes, (1, most), strict=True)
    ]
    prepared = [problem.prepare() for problem in problems]
    called = [call(ready, problem.inputs) for ready, problem in zip(prepared, problems, strict=True)]
    for problem, ready, graph in zip(problems, prepared, called, strict=True):
        problem.check(pull(ready, graph))  # backwards only after both forwards: buffers kept must be their own


@pytest.mark.parametrize(("name", "options"), ALL, ids=str)
def test_an_empty_batch_gives_empty_outputs_and_zero_gradients(name, options) -> None:
    problem = Problem(name, (0, 3, 4, 5), "float32", **options)
    results = differentiate(problem.prepare(), problem.inputs)
    assert results["output"].numel() == 0
    assert all(not value.any() for value in results.values())


@pytest.mark.parametrize("name", RECURRENT)
def test_nan_in_one_row_reaches_the_rest_of_that_row_only(name) -> None:
    problem = Problem(name, (2, 4, 3, 20), "float32")
    problem.inputs["x"][1, 0, 0] = float("nan")
    prepared = problem.prepare()
    with torch.no_grad():
        output = prepared.forward(prepared.leaves, problem.inputs)["output"]
    bad = output.isnan()
    assert bad[1:, 0].all()
    assert not bad[0].any()
    assert not bad[:, 1].any()


def test_more_threads_than_numba_has_are_refused() -> None:
    problem = Problem("lstm", (1, 1, 1, 1), "float32", threads=numba.config.NUMBA_NUM_THREADS + 1)
    with pytest.raises(Unsupported, match="threads here"):
        problem.prepare()


def test_the_kernel_names_the_threading_layer_and_the_threads_with_work() -> None:
    problem = Problem("gru", (1, 2, 3, 5), "float32", threads=min(2, numba.config.NUMBA_NUM_THREADS))
    prepared = problem.prepare()
    prepared.forward(prepared.leaves, problem.inputs)
    assert prepared.kernel is not None
    assert prepared.kernel() == f"numba: {numba.threading_layer()}, 1 thread"  # 5 units are one panel


SECOND_PROCESS = """
import sys, warnings
import numba.core.dispatcher as dispatcher
sys.path.insert(0, sys.argv[1])
from test_numba_problem import Problem, differentiate
from gatebench.implementations.numba import glu, panels, pointwise, recurrence
for name in ("rnn_tanh", "lstm", "gru", "glu", "swiglu", "swiglu_ffn"):
    problem = Problem(name, (2, 3, 4, 20), "float32")
    differentiate(problem.prepare(), problem.inputs)
kernels = {value for module in (panels, pointwise, recurrence) for value in vars(module).values()
           if isinstance(value, dispatcher.Dispatcher) and type(value._cache).__name__ == "PackageCache"}
print(len(kernels), sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels),
      sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    here = Path(__file__)
    root = here.parents[2]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    counts = []
    for _ in range(2):
        command = [sys.executable, "-c", SECOND_PROCESS, str(here.parent)]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
        counts.append([int(word) for word in done.stdout.split()])
    (kernels, no_hits, compiled), (_, hits, misses) = counts
    assert kernels == 7
    assert (no_hits, misses) == (0, 0)
    assert hits == compiled == 13  # 3 for packing and projection, 2 x 3 recurrences, 2 x 2 pointwise
