"""Two versions of a repository through real workers, with two blocks of screening: what each side does to the verdicts."""

import pandas as pd
import pytest
from jobs import ab, narrowed
from repositories import PLUGIN, SUITE, commit, git

from gatebench.report.ab_run import ab_document, recompute
from gatebench.store.read import Results

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("two_blocks")]

RIGHT = "return gate.forward(params, inputs)"
WRONG = 'return {"output": 2 * gate.forward(params, inputs)["output"]}'
DIES = "import os; os.abort()"
EVERYTHING = SUITE.replace('["toy:glu", "native"]', '["*"]')


def toys(**bodies):
    """Return a plugin file of implementations `toy:<name>`, each with this body."""
    return "import gatebench\n" + "".join(
        f'\n@gatebench.implementation("toy:{name}", gates=["glu"])\ndef {name}(params, inputs, gate):\n    {body}\n'
        for name, body in bodies.items()
    )


def test_the_working_tree_is_the_head_and_where_it_is_alike_the_stored_verdicts_say_so(repo, temporary):
    commit(repo, "settings", pyproject__toml='[tool.gatebench]\nsuite = "speed.toml"\nbuild = "touch built"\n')
    (repo / "my_glu.py").write_text(PLUGIN + "\nassert __import__('pathlib').Path('built').exists()\n")
    run, found, said = ab(repo, None, None, suite=None)
    assert said == [said[0], said[1], "building: touch built"]
    assert said[1].endswith("with changes that are not committed")
    head = run.manifest["sides"]["head"]
    assert [plugin["file"] for plugin in head.pop("plugins")] == ["my_glu.py"]
    assert head == {
        "given": "working tree",
        "sha": git(repo, "rev-parse", "HEAD"),
        "dirty": True,
        "subject": "settings",
    }
    assert set(found.index) >= {
        ("toy:glu", "time"),
        ("native", "time"),
        ("toy:glu", "peak_bytes"),
        ("native", "coverage"),
    }
    assert (found.xs("coverage", level="quantity")["verdict"] == "same").all()
    assert (found.xs("peak_bytes", level="quantity")["verdict"] == "same").all()
    assert recompute(run) == []
    samples = Results((run,)).samples.query("quantity == 'time'")
    assert set(samples["side"]) == {"base", "head"}
    assert set(samples["stage"]) == {"screen"}
    assert samples.groupby(["case_id", "side"])["block"].nunique().eq(2).all()
    assert ab_document(run)["exit_code"] == 4  # two blocks find no planted slow-down: the control failed


def test_each_way_in_which_two_revisions_differ_has_its_verdict(repo, temporary):
    before = toys(alike=RIGHT, breaks=RIGHT, mended=WRONG, dies=RIGHT, gone=RIGHT)
    after = toys(alike=RIGHT, breaks=WRONG, mended=RIGHT, dies=DIES, added=RIGHT)
    commit(repo, "before", my_glu__py=before, speed__toml=EVERYTHING)
    commit(repo, "after", my_glu__py=after)
    run, found, said = ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy*"))
    assert said[0].startswith("base: main~1 ")
    assert [plugin["file"] for plugin in run.manifest["plugins"]] == ["my_glu.py"]
    assert run.manifest["sides"]["head"]["subject"] == "after"
    assert run.manifest["git"]["sha"] == git(repo, "rev-parse", "main")
    verdicts = found["verdict"]
    assert verdicts["toy:alike", "coverage"] == "same"
    assert (verdicts["toy:breaks", "time"], verdicts["toy:breaks", "coverage"]) == ("wrong", "wrong")
    # What only the base gets wrong leaves the head to be judged for correctness.
    assert (verdicts["toy:mended", "time"], verdicts["toy:mended", "coverage"]) == ("inconclusive", "new")
    assert "the base is wrong" in found.loc[("toy:mended", "time"), "reason"]
    # One whose worker dies in every block takes none of the cases along that share the worker.
    assert verdicts["toy:dies", "time"] == "failed"
    assert "SIGABRT" in found.loc[("toy:dies", "coverage"), "reason"]
    rows = Results((run,)).measurements.set_index(["implementation", "side"])["status"]
    assert (rows["toy:dies", "base"], rows["toy:dies", "head"]) == ("ok", "failed")
    assert (rows["toy:alike", "base"], rows["toy:alike", "head"]) == ("ok", "ok")
    assert (verdicts["toy:added", "time"], verdicts["toy:added", "coverage"]) == ("new", "new")
    assert pd.isna(found.loc[("toy:added", "time"), "change"])
    assert verdicts["toy:gone", "time"] == "gone"
    assert recompute(run) == []
    assert ab_document(run)["exit_code"] == 3


def test_a_job_in_which_all_is_new_fails_nothing(repo, temporary):
    commit(repo, "second", my_glu__py=toys(glu=RIGHT, second=RIGHT), speed__toml=EVERYTHING)
    # As in a first pull request. Two blocks are too few for the controls, so they are not asked.
    asked = {"narrowing": narrowed("*", glob="glu/toy:second*"), "fail_on": ("slower", "wrong", "undecided")}
    run, found, _ = ab(repo, "main~1", "main", **asked)
    assert set(found["verdict"]) == {"new"}
    assert ab_document(run)["exit_code"] == 0
