"""The callables with pytest-benchmark: pytest with_pytest.py."""

import pytest
from speed.work import ALL, call_of


@pytest.mark.parametrize("name", ALL)
def test_speed(benchmark, name):
    call = call_of(name)
    call()
    benchmark(call)
