"""How many threads a case is said to have had: torch's, or what the implementation counts itself."""

import numba
import pytest
import torch

from gatebench.cases import Case
from gatebench.contract import Implementation, Prepared
from gatebench.measure.service import Service
from gatebench.registry import Registry
from gatebench.shape import Shape


@pytest.mark.parametrize("layout", ["native", "batch_first"])
@pytest.mark.parametrize("count", [None, lambda: 97], ids=["torch's", "its own"])
def test_an_implementation_with_threads_of_its_own_is_believed(layout, count):
    def prepare(gate, case, params):
        return Prepared(lambda leaves, inputs: gate.forward(leaves, inputs), params, threads=count)

    registry = Registry()
    registry.add_implementation(Implementation("test:counts", ("glu",), prepare, layout=layout))
    service = Service("", [], torch.get_num_threads(), registry)
    case = Case(gate="glu", implementation="test:counts", shape=Shape(batch=1, seq_len=2, input_size=3, hidden_size=3))
    service.prepare(case.to_json())
    # Asked now, not when tests are collected: tests of the same process run services with threads of their own.
    expected = count() if count else torch.get_num_threads()
    assert service.close(check=False)["observed_threads"] == expected


@pytest.fixture
def threads_as_before():
    """Give torch and Numba their threads back."""
    before = torch.get_num_threads(), numba.get_num_threads()
    yield
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])


def prepared(implementation, gate, threads):
    """Prepare a case in a worker's service that began with one thread."""
    shape = Shape(batch=1, seq_len=2, input_size=4, hidden_size=4)
    service = Service(implementation, [], 1)
    case = Case(gate=gate, implementation=implementation, shape=shape, threads=threads, mode="forward")
    service.prepare(case.to_json())
    return service


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("gate", ["lstm", "swiglu", "swiglu_ffn", "highway"])
def test_numba_and_torch_have_the_threads_of_the_case(gate):
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert prepared("numba", gate, 1).close(check=False)["observed_threads"] == 1


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("gate", ["lstm", "swiglu", "swiglu_ffn", "highway"])
def test_a_thread_count_that_grew_behind_the_back_is_seen(gate):
    service = prepared("numba", gate, 1)
    torch.set_num_threads(3)
    assert service.close(check=False)["observed_threads"] == 3


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="Numba has one thread here")
def test_threads_of_numba_are_seen_beside_one_of_torch():
    service = prepared("numba", "lstm", 1)
    numba.set_num_threads(2)
    assert torch.get_num_threads() == 1
    assert service.close(check=False)["observed_threads"] == 2


@pytest.mark.usefixtures("threads_as_before")
def test_onnxruntime_says_what_its_session_has():
    assert prepared("onnxruntime", "lstm", 2).close(check=False)["observed_threads"] == 2
    assert torch.get_num_threads() == 1
