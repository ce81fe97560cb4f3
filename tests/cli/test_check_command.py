"""`gatebench check` and bad input: one line, exit code 2."""

import pytest
from cli_helpers import one_line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("eagr",), "check: unknown implementation 'eagr'"),
        (("eager", "-g", "lst"), "-g: unknown gate 'lst'"),
        (("eager", "--only", "value-float32"), "--only: unknown check 'value-float32'"),
        (("numba", "-g", "mylab:x"), "-g: unknown gate 'mylab:x'"),
        (("gone.py",), "plugin gone.py: no such file"),
        (("eager", "--device", "gpu"), "--device: unknown device 'gpu'"),
        (("native", "-g", "lstm", "-o", "lstm.layers=2"), "-o: gate lstm: unknown option 'layers'"),
        (("native", "-g", "lstm", "-o", "gru.num_layers=2"), "-o: unknown gate or implementation 'gru'"),
        (("compile", "-g", "lstm", "-o", "compile.chunk=0"), "-o: compile: chunk = 0 is out of range"),
    ],
)
def test_bad_input_is_one_line(gb, arguments, line):
    assert one_line(gb("check", *arguments)).startswith(line)


def test_a_file_that_gives_only_a_gate_is_told_how_to_check_it(gb):
    assert gb("new", "gate", "mylab:leaky", "--family", "recurrent").code == 0
    one_line(
        gb("check", "leaky.py"), "gives no implementation", "gatebench check eager -g mylab:leaky --plugin leaky.py"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import not_there\n", "No module named 'not_there'"),
        ("raise RuntimeError('no licence')\n", "no licence"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(gb, tmp_path, text, reason):
    (tmp_path / "broken.py").write_text(text)
    assert one_line(gb("check", "broken.py"), reason).startswith("plugin broken.py: ")
