"""The page docs/stability.md: its Python runs as it stands, and its table has every public function."""

import re
from pathlib import Path

import torch

from gatebench import stability

PAGE = (Path(__file__).parents[2] / "docs" / "stability.md").read_text()
IN_PYTHON = PAGE.split("## In Python\n")[1].split("\n## ")[0]


def test_the_page_s_examples_run_one_after_the_other():
    names = {}
    torch.manual_seed(0)
    for code in re.findall(r"```python\n(.*?)```", IN_PYTHON, re.DOTALL):
        exec(code, names)
    assert names["profile"].log_norm.shape == (501, 8)
    assert names["sigma"].values.shape == (8, 5)
    assert names["trajectory"].jacobian(100).shape == (8, 16, 16)
    assert names["trajectory"].parts == {}


def test_the_table_has_every_function_and_only_names_that_exist():
    table = "".join(line for line in IN_PYTHON.splitlines(keepends=True) if line.startswith("|"))
    functions = {name for name in stability.__all__ if name.islower()}
    firsts = " ".join(line.split("|")[1] for line in table.splitlines())
    assert functions == set(re.findall(r"`([a-z_]+)", firsts))
    for name in re.findall(r"`([A-Z][A-Za-z]+)`", table):
        assert name in stability.__all__


def test_detach_and_numpy_cut_a_step_s_gradient():
    inputs = {"x": torch.zeros(6, 1, 2), "state0": torch.ones(1, 2)}
    for cut in (lambda s: s.detach(), lambda s: torch.from_numpy(s.detach().numpy())):
        trajectory = stability.unroll(lambda params, x_t, state, cut=cut: 0.5 * state + 0.5 * cut(state), {}, inputs)
        torch.testing.assert_close(trajectory.jacobian(1)[0], 0.5 * torch.eye(2, dtype=torch.float64))
