"""What the tests of one's own network share: requests, files by hash, rows."""

import hashlib

import numpy as np
import torch

I, H = 5, 8


def weights(path, **chosen):
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": str(path), "sha256": sha256, "source": "torch", **chosen}


def inputs_file(path, x):
    np.save(path, x)
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def request(own, **changes):
    return {
        "gate": "lstm", "gate_options": {}, "init": "file", "inputs": "normal", "dtype": "float64", "seq_len": 12,
        "input_size": I, "hidden_size": H, "batch": 3, "seed": 2, "weights": own, **changes,
    }  # fmt: skip


def norms(rows, metric="log_gradient_norm"):
    return [row["value"] for row in rows if row["metric"] == metric and row["part"] == ""]


def same(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def double(tensors):
    return {name: value.double() for name, value in tensors.items()}
