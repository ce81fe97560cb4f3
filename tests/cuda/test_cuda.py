"""The CUDA protocol: verify, attest, time with events, replay graphs, flush the cache."""

import pytest
import torch

from gatebench.cases import Case
from gatebench.contract import Failure, Implementation, Prepared
from gatebench.measure import graphs, profiler, sampling
from gatebench.measure import subject as subjects
from gatebench.measure.caches import flush_buffer
from gatebench.measure.peaks import measure_cuda_ceilings, measure_peaks
from gatebench.measure.reference import ReferenceCache
from gatebench.measure.verify import verify, wrong_reason
from gatebench.registry import default_registry
from gatebench.shape import Shape

pytestmark = pytest.mark.cuda
SHAPE = Shape(batch=3, seq_len=17, input_size=24, hidden_size=40)


def case_of(gate, implementation, **values):
    defaults = {"shape": SHAPE, "device": "cuda", "mode": "forward_backward", "dtype": "float32"}
    return Case(gate=gate, implementation=implementation, **{**defaults, **values})


def prepared(case):
    entry = default_registry().implementation(case.implementation, case.gate)
    subject = subjects.prepare(case, entry)
    subjects.first_call(subject)
    return subject


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("implementation", ["cudnn", "native", "eager"])
@pytest.mark.parametrize("gate", ["rnn_tanh", "lstm", "gru"])
def test_recurrent_implementations_are_right(gate, implementation, dtype):
    subject = prepared(case_of(gate, implementation, dtype=dtype))
    assert wrong_reason(verify(subject, ReferenceCache(), None)) is None


@pytest.mark.parametrize("implementation", ["native", "eager", "compile"])
@pytest.mark.parametrize("gate", ["glu", "swiglu", "swiglu_ffn"])
def test_pointwise_implementations_are_right(gate, implementation):
    subject = prepared(case_of(gate, implementation, dtype="bfloat16"))
    assert wrong_reason(verify(subject, ReferenceCache(), None)) is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("gate", ["lstm", "gru", "glu", "geglu", "geglu_tanh", "swiglu", "gtu", "geglu_ffn"])
def test_triton_is_right_and_attested_by_its_kernels(gate, dtype):
    pytest.importorskip("triton")
    subject = prepared(case_of(gate, "triton", dtype=dtype))
    assert wrong_reason(verify(subject, ReferenceCache(), None)) is None
    found = profiler.profile(subject)
    assert found.kernel in {f"triton: {name}" for name in found.detail["kernels"]}
    assert found.busy_ns > 0


@pytest.mark.parametrize("gate", ["rnn_tanh", "lstm", "gru"])
def test_cudnn_is_attested_by_its_kernels(gate):
    found = profiler.profile(prepared(case_of(gate, "cudnn")))
    assert found.kernel is not None
    assert found.kernel.startswith("cudnn: ")
    assert found.busy_ns > 0
    assert found.peak_bytes > 0


def test_native_runs_no_cudnn_kernel():
    found = profiler.profile(prepared(case_of("lstm", "native")))
    assert "cudnn" not in (found.kernel or "")


def test_an_implementation_that_only_claims_cudnn_is_failed():
    entry = Implementation(
        "test:claims", ("glu",), lambda gate, case, params: Prepared(gate.forward, params), attest="cudnn"
    )
    subject = subjects.prepare(case_of("glu", "test:claims"), entry)
    subjects.first_call(subject)
    with pytest.raises(Failure, match="not attested"):
        profiler.profile(subject)


@pytest.mark.parametrize("mode", ["forward", "backward", "forward_backward"])
def test_event_time_and_host_time_agree_over_a_synchronised_sample(mode):
    shape = Shape(batch=32, seq_len=128, input_size=512, hidden_size=512)
    subject = prepared(case_of("lstm", "cudnn", mode=mode, shape=shape))
    warmed = sampling.warm(subject, 0.1, 10, None, None)
    row = sampling.sample(subject, warmed.loops)
    assert row["event_ns"] == pytest.approx(row["wall_ns"], rel=0.25)


@pytest.mark.parametrize("implementation", ["eager", "triton"])
def test_a_captured_call_replays_the_same_numbers(implementation):
    if implementation == "triton":
        pytest.importorskip("triton")
    subject = prepared(case_of("lstm", implementation, mode="forward", launch="graph"))
    plain = [{name: value.clone() for name, value in subjects.call(subject, index).items()} for index in range(4)]
    graphs.capture(subject)
    for index, expected in enumerate(plain):
        replayed = subjects.call(subject, index)
        torch.cuda.synchronize()
        torch.testing.assert_close(replayed["output"], expected["output"])


def test_a_backward_alone_is_refused_as_a_graph():
    with pytest.raises(Failure, match="cannot be captured"):
        graphs.capture(prepared(case_of("lstm", "eager", mode="backward", launch="graph")))


def test_the_flush_buffer_is_twice_the_l2_cache():
    buffer = flush_buffer(case_of("glu", "eager", cache="cold"))
    assert buffer.numel() == 2 * torch.cuda.get_device_properties(0).L2_cache_size


def test_a_cold_series_times_calls_apart():
    subject = prepared(case_of("swiglu", "native", mode="forward", cache="cold"))
    row = sampling.sample(subject, 4, flush_buffer(subject.case))
    assert row["event_ns"] > 0
    assert row["wall_ns"] >= row["event_ns"] * 0.5


def test_the_device_has_ceilings_of_products_and_of_memory():
    speeds = {row["dtype"]: row["flops_per_s"] for row in measure_peaks() if row["device"] == "cuda"}
    assert speeds["bfloat16"] > speeds["float32"] > 1e11
    cached, memory = measure_cuda_ceilings()
    assert cached["bytes"] < memory["bytes"] == float("inf")
    assert cached["bytes_per_s"] >= memory["bytes_per_s"] > 5e10
