"""`gatebench history SUITE` on the command line."""

import json

from cli_helpers import one_line


def test_a_suite_of_the_store_is_shown(gb, stored):
    answer = gb("history", "quick", "--store", stored, "-i", "native")
    assert answer.code == 0
    assert "too few points" in answer.out
    assert json.loads(gb("history", "quick", "--store", stored, "--json").out)["suite"] == "quick"


def test_what_is_not_there_is_one_line(gb, stored, tmp_path):
    one_line(
        gb("history", "nosuch", "--store", stored), "history: unknown suite of this store 'nosuch'", "accepted: quick"
    )
    one_line(gb("history", "quick", "--store", tmp_path / "nowhere"), "no such folder")
    one_line(gb("history", "quick", "--store", stored, "--baseline", "x"), "--baseline: unknown implementation")
    assert gb("history").code == 2


def test_it_stands_under_more_in_the_help(gb):
    text = gb("--help").out
    assert text.index("history") > text.index("More")
