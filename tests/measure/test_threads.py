"""How many threads a case is said to have had: torch's, or what the implementation counts itself."""

import numba
import pytest
import torch

from gatebench import gates
from gatebench.cases import Case
from gatebench.contract import Implementation, Prepared
from gatebench.measure.service import Service
from gatebench.registry import Registry, default_registry
from gatebench.shape import Shape


@pytest.mark.parametrize("layout", ["native", "batch_first"])
@pytest.mark.parametrize(("count", "expected"), [(None, torch.get_num_threads()), (lambda: 97, 97)])
def test_an_implementation_with_threads_of_its_own_is_believed(layout, count, expected):
    def prepare(gate, case, params):
        return Prepared(lambda leaves, inputs: gate.forward(leaves, inputs), params, threads=count)

    registry = Registry()
    registry.add_implementation(Implementation("test:counts", ("glu",), prepare, layout=layout))
    service = Service("", [], torch.get_num_threads(), registry)
    case = Case(gate="glu", implementation="test:counts", shape=Shape(batch=1, seq_len=2, input_size=3, hidden_size=3))
    service.prepare(case.to_json())
    assert service.close(check=False)["observed_threads"] == expected


@pytest.mark.parametrize("gate", ["lstm", "swiglu", "swiglu_ffn", "highway"])
def test_numba_counts_its_own_threads(gate):
    entry = default_registry().implementation("numba", gate)
    shape = Shape(batch=1, seq_len=2, input_size=4, hidden_size=4)
    case = Case(gate=gate, implementation="numba", shape=shape, threads=1)
    prepared = entry.prepare(gates.get(gate), case, gates.get(gate).draw(shape, 0))
    assert prepared.threads is numba.get_num_threads
    assert prepared.threads() == 1
