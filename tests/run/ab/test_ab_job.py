"""Two versions of a repository through real workers, with two blocks of screening: what each side does to the verdicts."""

import pandas as pd
import pytest
from jobs import ab, narrowed
from repositories import PLUGIN, SUITE, commit, git

from gatebench.errors import SuiteError
from gatebench.report.ab_run import ab_document, recompute
from gatebench.store.read import Results

pytestmark = pytest.mark.usefixtures("two_blocks")

WRONG = PLUGIN.replace(
    "return gate.forward(params, inputs)", 'return {"output": 2 * gate.forward(params, inputs)["output"]}'
)
DIES = PLUGIN.replace("    return gate", "    import os\n    os.abort()\n    return gate")
SECOND = PLUGIN + PLUGIN.replace("toy:glu", "toy:second").replace("import gatebench", "").replace(
    "def forward", "def second"
)


@pytest.mark.slow
def test_versions_that_are_alike_are_stored_with_verdicts_that_come_out_again(repo, temporary):
    commit(repo, "only words", README__md="hello")
    run, found, said = ab(repo, "main~1", "main")
    assert said[0].startswith("base: main~1 ")
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
    assert [plugin["file"] for plugin in run.manifest["plugins"]] == ["my_glu.py"]
    assert run.manifest["sides"]["head"]["subject"] == "only words"
    assert run.manifest["git"]["sha"] == git(repo, "rev-parse", "main")
    assert ab_document(run)["exit_code"] == 4  # two blocks find no planted slow-down: the control failed


@pytest.mark.slow
def test_a_wrong_head_is_wrong_and_a_wrong_base_leaves_the_head_to_be_judged_for_correctness(repo, temporary):
    commit(repo, "second", my_glu__py=WRONG)
    run, found, _ = ab(repo, "main~1", "main")
    assert found.loc[("toy:glu", "time"), "verdict"] == "wrong"
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "wrong"
    assert ab_document(run)["exit_code"] == 3
    _, found, _ = ab(repo, "main", "main~1")
    assert found.loc[("toy:glu", "time"), "verdict"] == "inconclusive"
    assert "the base is wrong" in found.loc[("toy:glu", "time"), "reason"]
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "new"


@pytest.mark.slow
def test_a_side_whose_worker_dies_in_every_block_has_failed(repo, temporary):
    commit(repo, "second", my_glu__py=DIES)
    run, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("toy:glu"))
    assert found.loc[("toy:glu", "time"), "verdict"] == "failed"
    assert "SIGABRT" in found.loc[("toy:glu", "coverage"), "reason"]
    rows = Results((run,)).measurements.set_index(["implementation", "side"])["status"]
    assert (rows["toy:glu", "base"], rows["toy:glu", "head"]) == ("ok", "failed")


@pytest.mark.slow
def test_what_only_one_version_has_is_new_or_gone(repo, temporary):
    everything = SUITE.replace('["toy:glu", "native"]', '["*"]')
    commit(repo, "second", my_glu__py=SECOND, speed__toml=everything)
    _, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy*"))
    assert found.loc[("toy:second", "time"), "verdict"] == "new"
    assert found.loc[("toy:second", "coverage"), "verdict"] == "new"
    assert pd.isna(found.loc[("toy:second", "time"), "change"])
    # Nothing else, as in a first pull request. Two blocks are too few for the controls, so they are not asked.
    asked = {"narrowing": narrowed("*", glob="glu/toy:second*"), "fail_on": ("slower", "wrong", "undecided")}
    run, found, _ = ab(repo, "main~1", "main", **asked)
    assert set(found["verdict"]) == {"new"}
    assert ab_document(run)["exit_code"] == 0
    commit(repo, "third", my_glu__py=PLUGIN)
    _, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy*"))
    assert found.loc[("toy:second", "time"), "verdict"] == "gone"
    with pytest.raises(SuiteError, match=r"speed\.toml: leaves no cases"):
        ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy:second*"))


@pytest.mark.slow
def test_the_working_tree_is_the_head_and_its_pyproject_names_suite_and_build(repo, temporary):
    commit(repo, "settings", pyproject__toml='[tool.gatebench]\nsuite = "speed.toml"\nbuild = "touch built"\n')
    (repo / "my_glu.py").write_text(PLUGIN + "\nassert __import__('pathlib').Path('built').exists()\n")
    run, found, said = ab(repo, None, None, suite=None, narrowing=narrowed("toy:glu"))
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
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "same"
