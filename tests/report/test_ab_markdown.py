"""The Markdown of an A/B run: verdict first, at most 60 kB, and text that a stranger chose stands in code alone."""

import re

import pytest
from ab_reports import (  # fmt: skip
    A_A,
    EVERY,
    FASTER,
    GONE,
    INCONCLUSIVE,
    NEW,
    PLUS_3,
    REFUSED,
    SAME,
    SLOWER,
    WRONG,
    case,
    exact,
    report,
    side,
    verdict,
)
from hostile import bend

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.ab_markdown import markdown_of
from gatebench.report.ci.markdown import MOST_BYTES, Section, page
from gatebench.report.ci.schemas import first_fault

GOLDEN = """\
**GateBench: slower: 1 of 2 cases, worst `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward` +3.2 % [2.6, 3.9]**

- a change of 1.7 % or more would have been found in 80 % of runs in the median case (largest minimum detectable effect 2.1 %, `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward`)
- more memory: 1 of 1 case, worst `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward` +25.0 %

`main` (`1c8aaf7000`, `docs: where gatebench is`) → `working tree` (`71816db000`, with uncommitted changes), suite `quick`, run `20261122T101500Z-4f1c` in 612 s, on `Threadripper 2990WX`, environment class `0a1b2c3d4e5f`

| cases | faster, less | slower, more | same | inconclusive | new | gone | wrong | failed |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |
| time | 0 | 1 | 1 | 0 | 0 | 0 | 0 | 0 |
| peak memory | 0 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |
| error ratio | 0 | 0 | 1 | 0 | 0 | 0 | 0 | 0 |
| coverage | 0 | 0 | 1 | 0 | 0 | 0 | 0 | 0 |

A time within 3.0 % counts as same. At most 0.50 % of suites without a change raise an alarm.

#### Slower

| case | base | head | change | detectable |
| --- | --: | --: | --: | --: |
| `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward` | 1.84 ms | 1.90 ms | +3.2 % [2.6, 3.9] | 2.1 % |

#### Worse otherwise

| case | what | base | head | change |
| --- | --- | --: | --: | --: |
| `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward` | more memory | 1 MiB | 1.25 MiB | +25.0 % |

Coverage lost: none.

Largest error ratio: base 1.1 (`lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward`, `grad:x`), head 1.1 (`lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward`, `grad:x`).

#### Controls

| control | verdict | true change | change | detectable |
| --- | --- | --: | --: | --: |
| 1 | same | 0 % | 0 % [-0.40, 0.40] | 2.1 % |
| 2 | slower | +3.0 % | +3.1 % [2.5, 3.6] | 2.1 % |

#### Measure again, compute again

```sh
gatebench ab main quick
gatebench compare --recompute 20261122T101500Z-4f1c
```

<details><summary>Same (1)</summary>

| case | base | head | change | detectable |
| --- | --: | --: | --: | --: |
| `gru/native/T128-B16-I256-H256/float32/cpu-2/forward` | 1.00 ms | 1.00 ms | +0.10 % [-0.40, 0.60] | 1.2 % |

</details>
"""


def page_of(*cases, **other):
    return markdown_of(ab_json(report(*cases, **other)))


def part(text, title):
    """Return what stands below a title, up to the next one."""
    return re.split(r"#### |<details>", text.split(title, 1)[1], maxsplit=1)[0]


def test_the_page_reads_like_this():
    assert page_of(SLOWER, SAME) == GOLDEN


def test_every_kind_of_verdict_has_its_place():
    text = page_of(*EVERY, REFUSED, not_measured={"glu/native": "the time limit of 600 s"})
    assert text.startswith("**GateBench: wrong or failed: 2 of 9 cases")
    assert "| wrong | lost | `grad:x has error_ratio 31.2" in part(text, "#### Wrong or failed")
    assert "wider than the margin" in part(text, "<summary>Inconclusive (1)")
    assert "-5.1 % [-5.6, -4.7]" in part(text, "<summary>Faster (1)")
    assert [name in part(text, "<summary>New and gone (2)") for name in (NEW["case_id"], GONE["case_id"])] == [True] * 2
    assert "the time limit of 600 s" in part(text, "<summary>Not measured (1)")
    assert "less memory kept for the backward" in part(text, "<summary>Better otherwise (1)")
    assert "| `cudnn: unavailable: no CUDA device` | 1 |" in part(text, "<summary>Cannot run here, on neither side (1)")
    words = part(text, "#### Worse otherwise")
    assert [word in words for word in ("more memory", "slower to compile", "less exact", "1.1 | 3.3")] == [True] * 4


def test_no_slow_down_never_stands_alone():
    assert page_of(SAME).startswith("**GateBench: no case became slower; a change of 1.2 % or more would have been found in 80 % of runs**")  # fmt: skip
    assert page_of().startswith("**GateBench: nothing was compared: no case has a time on both sides**")


def test_a_failed_control_stands_in_the_verdict_and_beside_the_controls():
    text = page_of(SAME, control_failures=["the A/A control is slower"])
    assert text.startswith("**GateBench: unfit to judge: 1 control failed, first: `the A/A control is slower`**")
    assert "- failed: `the A/A control is slower`" in part(text, "#### Controls")


def test_ten_of_each_kind_stand_open_the_largest_first_and_the_rest_is_folded():
    many = [case(f"lstm/p{number}", verdict("slower", 0.03 + 0.01 * number, 0.03, 0.5), base=side(), head=side()) for number in range(14)]  # fmt: skip
    text = page_of(*many)
    first, rest = part(text, "#### Slower"), part(text, "<summary>More slower (4)")
    assert re.findall(r"^\| `lstm/p(\d+)/", first, re.M) == [str(number) for number in range(13, 3, -1)]
    assert "4 more below" in first
    assert re.findall(r"^\| `lstm/p(\d+)/", rest, re.M) == ["3", "2", "1", "0"]


# --- size


def large(count):
    """Return a run of many cases, most of them same."""
    kinds = [SLOWER, FASTER, INCONCLUSIVE, WRONG, *[SAME] * 96]
    return [{**kinds[number % 100], "case_id": f"gate{number:04}/{kinds[number % 100]['case_id']}"} for number in range(count)]  # fmt: skip


def test_two_thousand_cases_fit_and_what_was_cut_is_counted():
    text = page_of(*large(2000))
    assert 59_000 < len(text.encode()) <= MOST_BYTES
    cut = int(re.search(r"^(\d+) rows were cut to stay under 60 kB\.$", text, re.M).group(1))
    opened, folded = (len(re.findall(r"^\| `gate\d{4}", part, re.M)) for part in text.split("<details>", 1))
    assert opened == 10 + 10 + 10  # wrong, slower, more memory
    assert folded + cut == 10 + 10 + 10 + 20 + 20 + 1920  # the rest of them, inconclusive, faster, same
    assert text.rstrip().endswith("cut to stay under 60 kB.")
    assert text.count("<details>") == text.count("</details>")


LONG = {
    "backticks": "`" * 10_000,
    "bars": "|" * 10_000,
    "wide": "🙂" * 5_000,
    "both": "a`|" * 3_000,
    "hidden": "\u202e" * 9_000,
}


@pytest.mark.parametrize("name", LONG)
def test_names_of_ten_thousand_letters_leave_the_page_small_and_its_verdict_whole(name):
    document = bend(ab_json(report(*large(200), control_failures=["x"] * 50)), LONG[name])
    assert first_fault(document, "ab") is None
    page = markdown_of(document)
    assert len(page.encode()) <= MOST_BYTES
    assert page.startswith(("**GateBench: unfit", "**GateBench: wrong or failed"))
    assert "#### Measure again" in page


def test_numbers_as_large_as_the_schema_takes_them_leave_the_page_small():
    document = ab_json(report(*large(200)))
    huge = {"change": 1e300, "ci_low": -1e300, "ci_high": "inf", "minimum_detectable_effect": 1e300}
    for each in document["cases"]:
        each["verdicts"]["time"] |= huge
        each["head"] |= {"time_ns": 1e300, "peak_bytes": 2**63 - 1}
    assert first_fault(document, "ab") is None
    text = markdown_of(document)
    assert len(text.encode()) <= MOST_BYTES
    assert "+1.00e+302 % [-1.00e+302, ∞]" in text


def test_rows_are_cut_from_the_end_of_the_last_sections():
    sections = [Section(name, ("case",), tuple((f"{name}{number}",) for number in range(9)), folded=True) for name in "ab"]  # fmt: skip
    whole = page("first\n", sections)
    assert "cut" not in whole
    for most in range(120, len(whole.encode())):
        text = page("first\n", sections, most)
        shown = re.findall(r"\| ([ab]\d) \|", text)
        assert len(text.encode()) <= most
        assert shown == re.findall(r"\| ([ab]\d) \|", whole)[: len(shown)]
        assert f"\n{18 - len(shown)} row" in text


def test_what_follows_a_cut_row_is_cut_too():
    rows = (("a",), ("a" * 500,))
    text = page(
        "first\n", [Section("a", ("case",), rows, folded=True), Section("b", ("case",), (("b",),), folded=True)], 400
    )
    assert "| a |" in text
    assert "| b |" not in text
    assert "\n2 rows were cut" in text


# --- what is exact, and controls


def test_what_is_counted_exactly_has_no_interval_and_no_detectable_effect():
    text = page_of(case("lstm/numba", exact("saved_bytes", "slower", 0.5), base=side(saved_bytes=1000), head=side(saved_bytes=1500)))  # fmt: skip
    assert "| more memory kept for the backward | 1000 bytes | 1.465 KiB | +50.0 % |" in text


def test_controls_are_no_cases():
    text = page_of(SAME)
    for control in (A_A, PLUS_3):
        assert control["case_id"] not in text.replace(part(text, "#### Controls"), "")
