"""The action and the workflows: valid, pinned, with no more rights than they need, and no expression inside a script."""

import re
import subprocess
import sys

import pytest
from workflow_steps import ACTION, COMMENT, EXAMPLE, MEASURE, OWN, ROOT, WORKFLOWS, load, steps_of

from gatebench import __version__
from gatebench.suites import read_suite

FILES = [ACTION, *WORKFLOWS]
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
READ = {"contents": "read"}
_PINNED = re.compile(r"^[\w.-]+/[\w.-]+@[0-9a-f]{40}$")


def check(path, schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def expressions_in_scripts(document):
    """Return the scripts that GitHub would write a context's text into."""
    return [step["run"] for step in steps_of(document) if "${{" in step.get("run", "")]


def unpinned(path):
    """Return what a file uses that another could change: no commit, or a commit without its version beside it."""
    document = load(path)
    used = [step["uses"] for step in steps_of(document) if "uses" in step]
    lines = path.read_text().splitlines()
    pinned = {name for name in used if _PINNED.match(name) and any(re.search(rf"{re.escape(name)} # v\d+\.\d+\.\d+$", line) for line in lines)}  # fmt: skip
    return [name for name in used if name not in pinned and name not in ("./", f"OWNER/gatebench@v{__version__}")]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_keeps_githubs_schema(path):
    done = check(path, "vendor.github-actions" if path == ACTION else "vendor.github-workflows")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schemas_find_a_mistake(tmp_path):
    (tmp_path / "action.yml").write_text(ACTION.read_text().replace("      shell: bash\n", "", 1))
    assert check(tmp_path / "action.yml", "vendor.github-actions").returncode == 1
    (tmp_path / "measure.yml").write_text(MEASURE.read_text().replace("runs-on", "run-on"))
    assert check(tmp_path / "measure.yml", "vendor.github-workflows").returncode == 1


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_script_holds_an_expression(path):
    assert expressions_in_scripts(load(path)) == []


def test_an_expression_in_a_script_is_found(tmp_path):
    (tmp_path / "w.yml").write_text(COMMENT.read_text().replace("$RUN_ID", "${{ github.event.workflow_run.id }}"))
    assert len(expressions_in_scripts(load(tmp_path / "w.yml"))) == 1


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_what_a_file_uses_cannot_change(path):
    assert unpinned(path) == []


def test_a_branch_in_place_of_a_commit_is_found(tmp_path):
    (tmp_path / "w.yml").write_text(re.sub(r"@[0-9a-f]{40} # v[\d.]+", "@v6", MEASURE.read_text()))
    assert unpinned(tmp_path / "w.yml") == ["actions/checkout@v6"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES[1:])
def test_a_workflow_has_the_rights_that_it_needs_and_no_secret(path):
    document = load(path)
    assert document["permissions"] == ({"actions": "read", "pull-requests": "write"} if path == COMMENT else READ)
    assert all("permissions" not in job for job in document["jobs"].values())
    assert all("timeout-minutes" in job for job in document["jobs"].values())
    assert "concurrency" in document
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()


def test_the_job_that_may_write_has_nothing_of_the_pull_request_but_a_file():
    document = load(COMMENT)
    assert set(document["on"]) == {"workflow_run"}
    assert [step["uses"].split("@")[0] for step in steps_of(document) if "uses" in step] == ["actions/setup-python"]
    read = set(re.findall(r"github\.event\.[\w.]+", COMMENT.read_text()))
    run = "github.event.workflow_run"
    assert read == {f"{run}.{name}" for name in ("head_sha", "event", "conclusion", "head_repository.owner.login", "head_branch", "id")}  # fmt: skip
    with_token = [step["name"] for step in steps_of(document) if "GH_TOKEN" in step.get("env", {})]
    assert with_token == ["Find the pull request", "Fetch the JSON", "Comment once"]


@pytest.mark.parametrize("path", [MEASURE, *OWN], ids=lambda path: path.name)
def test_a_checkout_leaves_no_token_to_the_code_that_is_measured(path):
    checkouts = [step for step in steps_of(load(path)) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_the_files_agree_on_names():
    action, measure, comment = load(ACTION), load(MEASURE), load(COMMENT)
    assert comment["on"]["workflow_run"]["workflows"] == [measure["name"]]
    assert f"--name {action['inputs']['artifact']['default']}-json " in COMMENT.read_text()
    assert f"OWNER/gatebench@v{__version__}" in COMMENT.read_text()
    for path in (MEASURE, *OWN):
        for step in steps_of(load(path)):
            if step.get("uses") == "./" or step.get("uses", "").startswith("OWNER/"):
                assert set(step["with"]) <= set(action["inputs"])


def test_every_input_reaches_the_action():
    text = ACTION.read_text()
    assert {name for name in load(ACTION)["inputs"] if not re.search(rf"inputs\.{re.escape(name)}\b", text)} == set()


def test_the_example_is_a_suite_with_its_plugin():
    measured = steps_of(load(MEASURE))[-1]["with"]["suite"]
    suite = read_suite(EXAMPLE / measured)
    assert [path.resolve() for path in suite.plugins] == [(EXAMPLE / "swiglu.py").resolve()]


def test_the_page_about_ci_shows_both_workflows_whole():
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert [path.read_text() in shown for path in (MEASURE, COMMENT)] == [True, True]


def test_the_page_about_ci_names_every_input_and_output():
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    action = load(ACTION)
    named = set(re.findall(r"^\| `([\w-]+)` \|", page.split("## The action's inputs\n")[1].split("\n## ")[0], re.M))
    assert named == {*action["inputs"], *action["outputs"]}
