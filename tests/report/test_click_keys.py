"""What points of figures carry, and the names that a click on one finds again."""

from gatebench.report.figures.keys import LONGEST_KEY, click_key, clicked

LONG = "lstm/" + "x" * 10_000


def test_a_usual_name_is_its_own_key():
    for name in ("", "gru/native/T64", "y" * LONGEST_KEY):
        assert click_key(name) == name
        assert clicked(name, ["other", name]) == name


def test_a_long_name_has_a_short_key_of_its_own_that_finds_it_again():
    names = [LONG, LONG + "a", LONG + "b", "µ" * 10_000, "\ud800" * 500]
    keys = [click_key(name) for name in names]
    assert len(set(keys)) == len(names)
    assert max(map(len, keys)) <= LONGEST_KEY
    assert [clicked(key, names) for key in keys] == names
    assert keys[0].startswith("lstm/xxx")


def test_a_key_of_none_of_the_names_finds_nothing():
    assert clicked(click_key(LONG), ["gru", LONG + "a"]) is None
    assert clicked("gru", []) is None
