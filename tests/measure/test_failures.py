"""Where a failure is said to be: the last line outside GateBench."""

import importlib.util

import pytest

from gatebench import gates
from gatebench.contract import Unsupported
from gatebench.measure.failures import classify
from gatebench.shape import Shape


@pytest.mark.parametrize("folder", ["gatebench", "elsewhere"])
@pytest.mark.parametrize(("error", "status"), [("Unsupported", "unsupported"), ("ValueError", "failed")])
def test_a_plugin_in_a_folder_that_is_called_gatebench_is_not_gatebench(tmp_path, folder, error, status):
    path = tmp_path / folder / "mine.py"
    path.parent.mkdir()
    path.write_text(f"from gatebench import Unsupported\n\n\ndef fused():\n    raise {error}('no')\n")
    spec = importlib.util.spec_from_file_location("mine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises((Unsupported, ValueError)) as raised:
        module.fused()
    raised.value.__traceback__ = raised.value.__traceback__.tb_next  # without this test's own line
    found = classify(raised.value)
    assert (found.status, found.where) == (status, "mine.py:5")


def test_a_refusal_of_gatebench_itself_needs_no_place():
    with pytest.raises(Unsupported) as raised:
        gates.get("highway").check_shape(Shape(batch=1, seq_len=1, input_size=2, hidden_size=3))
    raised.value.__traceback__ = raised.value.__traceback__.tb_next
    assert classify(raised.value).where == ""
