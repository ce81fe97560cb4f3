"""`gatebench verify` without a suite: flags choose at small sizes; the exit code; refusals told by gate."""

import pandas as pd
import pytest
from cli_helpers import call

from gatebench.report.exit_code import verify_exit_code
from gatebench.report.listings import print_verified

PLUGIN = """
import gatebench

@gatebench.implementation("lab:glu", gates=["glu"])
def right(params, inputs, gate):
    return gate.forward(params, inputs)
"""


@pytest.mark.parametrize(
    ("flags", "cases"),
    [(("-g", "glu", "-i", "eager", "--dtype", "float64"), 4), (("-g", "lstm", "-i", "native", "--threads", "1", "-m", "forward"), 2),
     (("-g", "glu", "-i", "eager", "--device", "cpu", "--hidden-size", "5"), 2)],
)  # fmt: skip
def test_flags_are_axes_at_small_sizes(capsys, monkeypatch, flags, cases):
    answer = call(capsys, monkeypatch, "verify", *flags)
    assert answer.code == 0, answer.err
    assert f"{cases} ok" in answer.out


def test_a_plugin_is_verified(capsys, monkeypatch, tmp_path):
    path = tmp_path / "lab.py"
    path.write_text(PLUGIN)
    answer = call(capsys, monkeypatch, "verify", "-i", "lab:glu", "-g", "glu", "--plugin", path)
    assert answer.code == 0, answer.err
    assert "4 ok" in answer.out


def rows(*found):
    """Return measurements from (gate, implementation, status, reason)."""
    names = ["gate", "implementation", "status", "reason"]
    frame = pd.DataFrame(found, columns=pd.Index(names))
    return frame.assign(
        gate_options="{}",
        error_ratio=frame["status"].eq("ok") * 1.0,
        tensor="output",
        dtype="float32",
        case_id=frame["gate"],
    )


def test_a_named_implementation_must_be_right_where_its_gate_was_named():
    found = rows(("lstm", "numba", "ok", None), ("lstm", "numba", "unsupported", "no bfloat16"), ("gru", "numba", "unavailable", "not yet"))  # fmt: skip
    assert verify_exit_code(found, (), ("numba",), False) == 0
    assert verify_exit_code(found, ("lstm",), ("numba",), False) == 0
    assert verify_exit_code(found, ("lstm", "gru"), ("numba",), False) == 3
    assert verify_exit_code(found, ("gru",), (), False) == 0
    assert verify_exit_code(rows(("gru", "numba", "unavailable", "not yet")), (), ("numba",), False) == 3
    assert verify_exit_code(rows(("gru", "eager", "wrong", "output")), (), (), False) == 3


@pytest.mark.parametrize("done", [0, 1])
def test_what_was_verified_before_an_interrupt_is_printed(capsys, monkeypatch, done):
    from gatebench.run import verifier

    verify, calls = verifier._verify, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) > done:
            raise KeyboardInterrupt
        return verify(*arguments)

    monkeypatch.setattr(verifier, "_verify", interrupted)
    answer = call(capsys, monkeypatch, "verify", "-g", "glu", "-i", "eager", "--dtype", "float32")
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == f"verify: interrupted after {done} of 4 cases"
    assert ("1 ok" in answer.out) == bool(done)


def test_more_threads_than_cores_are_unsupported(gb):
    answer = gb("verify", "-g", "glu", "-i", "eager", "--threads", "999")
    assert answer.code == 3
    assert "eager: unsupported: 999 threads, and this machine gives" in answer.out


def test_rows_say_the_gates_options(gb):
    answer = gb("verify", "-g", "swiglu", "-i", "eager", "-o", "swiglu.beta=2.0")
    assert (answer.code, "swiglu (beta=2.0) eager" in " ".join(answer.out.split())) == (0, True)


def test_every_refused_gate_is_told(capsys):
    alike = [(f"gate{number}", "cudnn", "unavailable", "no CUDA device") for number in range(6)]
    each_its_own = [
        (f"gate{number}", "native", "unsupported", f"native does not do gate{number}") for number in range(6)
    ]
    partly = [("lstm", "numba", "ok", None), ("lstm", "numba", "unsupported", "no bfloat16")]
    print_verified(rows(*alike, *each_its_own, *partly), as_json=False)
    text = " ".join(capsys.readouterr().out.split())
    names = ", ".join(f"gate{number}" for number in range(6))
    assert f"cudnn: unavailable: no CUDA device: {names}" in text
    assert f"native refuses {names}: `gatebench list --coverage`" in text
    assert "lstm: unsupported: no bfloat16" in text
    assert "lstm numba 1 ok, 1 unsupported" in text
