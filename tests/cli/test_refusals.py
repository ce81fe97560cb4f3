"""Cases that cannot run here are rows with a reason, and nothing else."""

import pytest
import torch

from gatebench.run.discover import discover
from gatebench.run.execute import Request, make_plan, start
from gatebench.run.progress import Silent
from gatebench.store.read import load
from gatebench.suites import suite_from_text

SUITE = """
schema = "gatebench-suite/1"
[[cases]]
why = "A machine without a GPU runs a suite that asks for one."
gates = ["glu"]
implementations = ["native", "cudnn"]
device = "cuda"
batch = [1]
seq_len = [2]
hidden_size = [2]
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_suite_for_cuda_on_a_machine_without_it_gives_unavailable_rows(tmp_path):
    request = Request(suite_from_text(SUITE, "gpu.toml", tmp_path))
    outcome = start(request, tmp_path, make_plan(request, discover()), Silent())
    rows = load(outcome.folder).measurements
    assert set(rows["status"]) == {"unavailable"}
    assert set(rows["reason"]) == {"no CUDA device"}
    assert rows["device_name"].isna().all()
    assert rows["time_ns"].isna().all()
