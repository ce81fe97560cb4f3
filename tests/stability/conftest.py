"""One thread: the steps are small, and threads that wait for each other would be slower where cores are shared."""

import pytest
import torch
from own_helpers import H, I
from safetensors.torch import save_file
from torch import nn


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model():
    """An encoder of two bidirectional layers, a decoder of one layer, a GRU, a linear layer."""
    torch.manual_seed(0)
    return nn.ModuleDict({
        "encoder": nn.ModuleDict({
            "rnn": nn.LSTM(I, H, num_layers=2, bidirectional=True), "out": nn.Linear(2 * H, 3),
        }),
        "decoder": nn.LSTM(3, 4), "gru": nn.GRU(I, H),
    })  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """Save tensors as safetensors or by torch, by the file's ending; returns the path."""

    def save(tensors, name="model.safetensors"):
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        else:
            torch.save(tensors, path)
        return path

    return save
