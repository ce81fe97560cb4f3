"""Short trainings that the training tests share."""

import torch

from gatebench import Shape, gates, stability


def shape_for(task, seq_len=10, hidden_size=8, batch=3):
    width = stability.find_task(task).input_size
    return Shape(batch=batch, seq_len=seq_len, input_size=width, hidden_size=hidden_size)


def trained(name="lstm", task="adding", steps=6, seed=0, sizes=None, options=None, **settings):
    gate = gates.get(name, **(options or {}))
    settings = {"batch_size": 4} | settings
    return stability.train(gate, shape_for(task, **(sizes or {})), task, steps, seed=seed, **settings)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
