"""What a case imports or compiles is kept out of collections: before each sample they would outlast the sample."""

import gc
import weakref

import pytest

from gatebench.cases import Case
from gatebench.contract import Implementation, Prepared
from gatebench.measure.service import Service, compile_counters
from gatebench.registry import Registry
from gatebench.shape import Shape


@pytest.fixture(autouse=True)
def thawed():
    """Give the collector back what a service froze in this process."""
    yield
    gc.unfreeze()


class Node:
    """An object in a cycle, which only a collection frees."""

    def __init__(self):
        self.itself = self


def warm_case(service, implementation="test:imports"):
    """Prepare and warm up a case of a service."""
    shape = Shape(batch=1, seq_len=1, input_size=8, hidden_size=8)
    service.prepare(Case(gate="glu", implementation=implementation, shape=shape).to_json())
    service.warm(warmup_s=0.001, sample_ms=0.01)


def importing(objects):
    """Return a service whose implementation makes objects that live on, and weak references to a node of each case."""
    kept, nodes = [], []

    def prepare(gate, case, params):
        kept.extend([] for _ in range(objects))
        node = Node()
        nodes.append(weakref.ref(node))
        return Prepared(lambda leaves, inputs, node=node: gate.forward(leaves, inputs), params)

    registry = Registry()
    registry.add_implementation(Implementation("test:imports", ("glu",), prepare))
    return Service("", [], 1, registry), nodes


def test_what_a_case_imported_is_not_collected_before_each_sample():
    service, _ = importing(50_000)
    warm_case(service)
    assert len(gc.get_objects()) < 2_000


def test_a_cycle_of_a_case_is_freed_with_the_next_case():
    service, nodes = importing(50_000)
    warm_case(service)
    warm_case(service)
    assert nodes[0]() is None
    assert nodes[1]() is not None


def test_a_case_that_broke_down_leaves_nothing_that_the_next_one_is_held_to():
    service, _ = importing(0)
    service.counters = compile_counters()  # of a case of torch.compile that was never closed
    warm_case(service)
    assert service.profile()["kernel"] is None


def test_a_case_that_makes_little_is_not_frozen():
    service, _ = importing(0)
    frozen = gc.get_freeze_count()
    warm_case(service)
    assert gc.get_freeze_count() <= frozen + 100
    assert any(isinstance(found, Node) for found in gc.get_objects())
