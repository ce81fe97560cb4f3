"""Memory grows with T·B·S, not with T·S²: what a Jacobian per step would take is never there at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, resource, torch
from gatebench import Shape, gates, stability
torch.set_num_threads(1)
gate = gates.get({gate!r})
CALLS = {{
    "gradients": lambda trajectory: stability.gradient_profile(trajectory),
    "largest exponent": lambda trajectory: stability.lyapunov_spectrum(trajectory, k=1),
    "leading values": lambda trajectory: stability.singular_values(trajectory, k=2),
    "bound": lambda trajectory: stability.norm_bound(trajectory),
    "determinant": lambda trajectory: stability.log_abs_det(trajectory),
}}
def problem(steps):
    shape = Shape(batch=1, seq_len=steps, input_size=8, hidden_size={hidden})
    return stability.unroll(gate, gate.draw(shape, 0), gate.inputs(shape, 0))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
short = problem({steps} // 4)  # what a chunk of steps takes, it takes here already
for call in CALLS.values():
    call(short)
trajectory = problem({steps})
before, grown = peak(), {{}}
for name, call in CALLS.items():
    call(trajectory)
    grown[name] = peak() - before
print(json.dumps(grown))
"""
# gate (with and without a closed form), hidden size, steps: a Jacobian per step would take 1 GiB
CASES = [("lstm", 128, 2000), ("rnn_tanh", 256, 2000), ("minimal_rnn", 256, 2000)]


@pytest.mark.slow
@pytest.mark.parametrize(("gate", "hidden", "steps"), CASES, ids=[case[0] for case in CASES])
def test_memory_does_not_grow_with_a_jacobian_per_step(gate, hidden, steps):
    size = 2 * hidden if gate == "lstm" else hidden
    assert steps * size**2 * 8 >= 2**30 - 2**25
    code = CODE.format(gate=gate, hidden=hidden, steps=steps)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    grown = json.loads(answer.stdout)
    assert len(grown) == 5
    # MiB, by all calls so far; three quarters of the Jacobians are 768, T·S values 8
    assert {name: value for name, value in grown.items() if value >= 150} == {}
