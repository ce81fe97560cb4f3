"""`gatebench environment`: what timings depend on, and what hurts them; it never fails."""

import json

from gatebench.run import fitness
from gatebench.run.fitness import Finding


def test_it_prints_both_and_ends_well_however_bad_the_machine(gb, monkeypatch):
    bad = [Finding("steal", "hurts", "40 % since boot", "the hypervisor takes it", "dedicated cores")]
    monkeypatch.setattr(fitness, "examine", lambda: bad)
    answer = gb("environment")
    assert answer.code == 0
    assert "environment class" in answer.out
    assert "matrix products" in answer.out
    assert "steal   40 % since boot: the hypervisor takes it" in answer.out
    assert "→ dedicated cores" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    found = json.loads(gb("environment", "--json").out)
    assert found["fitness"] == [vars(bad[0])]
    assert found["environment_class"]
