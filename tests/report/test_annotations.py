"""GitHub's annotations: at most ten, the gravest first, and no text of others makes a command of its own."""

import re

import pytest
from ab_reports import EVERY, FAILED, INCONCLUSIVE, REFUSED, SAME, SLOWER, WRONG, report
from hostile import HOSTILE, bend

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.annotations import annotations_of

COMMAND = re.compile(r"::(error|warning) title=[^:,\r\n]*::([^\r\n]*)")


SECOND = {**INCONCLUSIVE, "case_id": "second/" + INCONCLUSIVE["case_id"]}


def lines(*cases, **other):
    return annotations_of(ab_json(report(*cases, **other)))


def titles(found):
    return [re.search(r"title=([^:]*)", line).group(1).replace("%3A", ":") for line in found]


def test_a_slower_case_reads_like_this():
    assert lines(SLOWER) == [
        "::error title=slower%3A lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward::"
        "lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward: slower +3.2 %25 [2.6, 3.9], 1.84 ms → 1.90 ms, detectable 2.1 %25; "
        "more memory +25.0 %25, 1 MiB → 1.25 MiB"
    ]


def test_wrong_comes_first_then_slower_then_controls_then_what_is_undecided():
    found = lines(*EVERY, SECOND, control_failures=["the A/A control is slower"], decided=0.4)
    words = [title.partition(":")[0] for title in titles(found)]
    assert words == ["wrong", "timeout", "slower", "slower to compile", "unfit to judge", "undecided"]
    assert [line.split()[0] for line in found] == ["::error"] * 5 + ["::warning"]
    assert found[-1].endswith("undecided: 40 %25 of the cases got a verdict, 80 %25 are asked for; 2 inconclusive, first "
                              "glu/eager/T128-B16-I256-H256/float32/cpu-2/forward: the interval -1.2 %25 to +4.1 %25 is wider than the margin of 3 %25")  # fmt: skip


def test_one_inconclusive_case_leaves_the_job_decided():
    found = lines(SAME, INCONCLUSIVE, decided=0.5)
    assert titles(found) == ["inconclusive"]
    assert "1 inconclusive, first glu/eager/" in found[0]


def test_a_quiet_run_has_none():
    assert lines(SAME, REFUSED) == lines() == []


@pytest.mark.parametrize(("bad", "inconclusive", "unfit"), [(10, 0, 0), (11, 0, 0), (10, 1, 0), (500, 3, 1)])
def test_ten_at_most_and_the_last_says_how_many_more(bad, inconclusive, unfit):
    kinds = [(SLOWER, WRONG, FAILED)[number % 3] for number in range(bad)] + [INCONCLUSIVE] * inconclusive
    cases = [{**each, "case_id": f"g{number}/{each['case_id']}"} for number, each in enumerate(kinds)]
    found = lines(*cases, control_failures=["unfit"] * unfit)
    assert len(found) <= 10
    named = [line for line in found if re.search(r"title=\w+%3A", line)]
    more = re.search(r"::(\d+) more cases are slower, wrong or failed$", "\n".join(found), re.M)
    assert len(named) + int(more.group(1) if more else 0) == bad
    assert sum("unfit to judge" in line for line in found) == unfit
    assert sum(line.startswith("::warning") for line in found) == (1 if inconclusive else 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_line_is_one_command_whatever_others_wrote(name):
    document = bend(ab_json(report(*EVERY, control_failures=["x"])), HOSTILE[name])
    found = annotations_of(document)
    assert len(found) == 6
    for line in found:
        assert COMMAND.fullmatch(line)
        assert not re.search(r"%(?!25|0D|0A|3A|2C)", line)
