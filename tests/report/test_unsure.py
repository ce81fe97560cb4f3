"""A fastest one that may not be: the same doubt in the table, in its lines and in the report's summary."""

import pytest

from gatebench.analyze.blocks import blocks_of
from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.report.html.summary import summary_section
from gatebench.report.table import blocks, fastest, long_table
from gatebench.store.read import load
from tests.synthetic import Plan, write_store

PLAN = Plan(gates=("lstm",), seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), failures=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's measurements, compared, in which nothing ties and every fastest is sure; and its samples."""
    store = tmp_path_factory.mktemp("unsure") / "results"
    write_store(store, PLAN)
    results = load(store)
    compared = compare(results.measurements, blocks_of(results.samples))
    compared = compared.assign(tied=False, unsure=False, inconclusive=False, unsteady=False)
    return compared.assign(pay_back_calls=pay_back_calls(compared)), results


def doubt(compared, **found):
    """Say of the fastest at the first shape what is found."""
    first = (compared["rank"] == 1) & (compared["seq_len"] == 64)
    return compared.assign(**{name: compared[name].mask(first, value) for name, value in found.items()})


def shown(compared, results):
    """Return what the table, the long table, the lines by problem and the summary say of the fastest."""
    [table] = blocks(compared, results.samples, results.stability)
    cells = [next(cell for cell in row if " *" in cell or "!" in cell) for row in table.rows]
    times = [row[2] for row in long_table(compared, ("time",)).rows]
    part = summary_section(compared, results.stability).parts[0].blocks[1]
    told = dict(zip(part.header, part.rows[0], strict=True))
    return cells, times, fastest(compared).rows[0][1], (told["others as fast at"], told["not sure at"])


def test_a_sure_one_has_a_star_alone(run):
    cells, times, line, counts = shown(*run)
    assert all(cell.endswith(" *") for cell in cells)
    assert sum(time.endswith(" *") for time in times) == 2
    assert "maybe" not in line
    assert counts == ("0", "0")


def test_an_unsure_one_is_so_everywhere(run):
    compared, results = run
    cells, times, line, counts = shown(doubt(compared, unsure=True), results)
    assert cells[0].endswith(" *?")
    assert cells[1].endswith(" *")
    assert sorted(time.split()[-1] for time in times if "*" in time) == ["*", "*?"]
    assert line.count("not sure, maybe ") == 1
    assert counts == ("0", "1")


def test_a_tie_is_told_as_one_not_as_a_doubt(run):
    compared, results = run
    cells, _, line, counts = shown(doubt(compared, unsure=True, tied=True), results)
    assert cells[0].endswith(" *")
    assert "maybe" not in line
    assert counts == ("1", "0")


def test_a_busy_machine_leaves_no_star_and_counts_as_a_doubt(run):
    compared, results = run
    cells, _, line, counts = shown(doubt(compared, inconclusive=True), results)
    assert cells[0].endswith(" !")
    assert line.count("inconclusive, maybe ") == 1
    assert counts == ("0", "1")
