"""The lines below a table of times that tell what gradients do."""

import math

from gatebench.report.gradient_lines import gradient_lines, stack_lines
from tests.stability_frames import case, frame, long_rows, trained


def test_gradient_lines_tell_inits_inputs_and_tasks_apart():
    reach = [long_rows(metric="reach", value=8.0, seq_len=t, **more) for t in (8, 16) for more in ({}, {"inputs": "zero"})]  # fmt: skip
    trained_reach = [long_rows(metric="reach", value=3.0, task="adding", inputs="task", input_size=2, train_step=t) for t in (0, 2)]  # fmt: skip
    rows = frame(case(), case(4.0, seq_len=16), case(inputs="zero"), case(inputs="zero", seq_len=16), trained(), reach, trained_reach)  # fmt: skip
    (lines,) = gradient_lines(rows).values()
    assert lines == [
        "gradient: halves every 4.0 steps, reach 8 steps, vanishing [torch init, T=16, H=4, float32, 1 seed]",
        "gradient: halves every 2.0 steps, reach 8 steps, vanishing [torch init, T=16, H=4, inputs zero, float32, 1 seed]",
        "gradient: halves every 4.0 steps, reach 3 steps, vanishing [torch init, T=8, H=4, after 2 steps of adding, float32, 1 seed]",
    ]


def test_a_gradient_that_does_not_shrink_reaches_at_least_to_the_end():
    rows = frame(case(math.inf), [long_rows(metric="reach", value=8.0)])
    ((line,),) = gradient_lines(rows).values()
    assert line.startswith("gradient: does not shrink, reach at least 8 steps, ")
    assert gradient_lines(rows.iloc[:0]) == {}


def test_a_stack_has_a_line_per_init_with_its_layers_and_its_class():
    norms = [long_rows(metric="log_depth_gradient_norm", index=layer, value=-1.0, init=init) for layer in range(9) for init in ("torch", "irnn")]  # fmt: skip
    classes = [long_rows(metric="class", label=label, init=init) for label, init in (("vanished", "torch"), ("stable", "irnn"))]  # fmt: skip
    (lines,) = stack_lines(frame(norms, classes)).values()
    assert lines == [
        "through 8 layers: vanished [torch init, T=8, H=4, float32, 1 seed]",
        "through 8 layers: stable [irnn init, T=8, H=4, float32, 1 seed]",
    ]
    assert stack_lines(frame(case())) == {}


def test_a_dtype_of_another_store_is_the_coarsest():
    of = [case(dtype=dtype) for dtype in ("float8_e4m3fn", "float16")]
    ((line,),) = gradient_lines(frame(*of, [long_rows(metric="reach", value=8.0, dtype="float16")])).values()
    assert line.endswith(", float16, 1 seed]")
    ((line,),) = gradient_lines(frame(of[0], [long_rows(metric="reach", value=8.0, dtype="float8_e4m3fn")])).values()
    assert line.endswith(", float8_e4m3fn, 1 seed]")
