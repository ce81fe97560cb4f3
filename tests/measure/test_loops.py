"""How many calls a sample has, and how long it is said to last."""

from gatebench.measure import sampling


def test_one_disturbed_sample_does_not_make_calls_look_long(monkeypatch):
    """The number of rounds in every block of an A/B goes by how long a sample lasts."""
    monkeypatch.setattr(sampling, "clock_read_ns", lambda: 0.0)
    monkeypatch.setattr(sampling, "_timed", lambda subject, loops: loops * 1e6 + 30e6)  # a stall of 30 ms
    loops, sample_ns = sampling._find_loops(None, 5.0, call_ns=1e6)
    assert sample_ns == loops * 1e6


def test_a_sample_that_runs_faster_than_the_calls_before_it_is_believed(monkeypatch):
    monkeypatch.setattr(sampling, "clock_read_ns", lambda: 0.0)
    monkeypatch.setattr(sampling, "_timed", lambda subject, loops: loops * 1e6)
    loops, sample_ns = sampling._find_loops(None, 5.0, call_ns=9e6)
    assert (loops, sample_ns) == (8, 8e6)
