"""CUDA tests are run by `make gpu` alone; without a device they fail, and say so."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _device():
    assert torch.cuda.is_available(), "no CUDA device: `make gpu` is for a machine that has one"
