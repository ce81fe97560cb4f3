"""The scripts of the example's comment.yml: one comment on the right pull request, whatever the measuring run left."""

import json
import sys
from pathlib import Path

import pytest
from workflow_steps import COMMENT, Runner, load, steps_of

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.ab_markdown import markdown_of
from tests.report.ab_reports import EVERY, SLOWER, report
from tests.report.hostile import HOSTILE, bend

MARKER = "<!-- gatebench -->"
SHA = "5" * 40
# GitHub in one file: answers `gh` from github.json beside it, and notes what was written there.
GH = r"""#!{python}
import json, pathlib, subprocess, sys
state = pathlib.Path(__file__).with_name("github.json")
github = json.loads(state.read_text())
words = sys.argv[1:]
option = {{name: words[place + 1] for place, name in enumerate(words) if name.startswith("-") and place + 1 < len(words)}}
if words[:2] == ["run", "download"]:
    found = github["artifacts"].get(words[2] + "/" + option["--name"])
    if found is None:
        sys.exit("no artifact")
    folder = pathlib.Path(option["--dir"])
    folder.mkdir()
    folder.joinpath("ab.json").write_bytes(found.encode("utf-8", "surrogatepass"))
    sys.exit()
path = next(word for word in words[1:] if word.startswith("repos/"))
assert words[0] == "api" and path.startswith("repos/mylab/kernels/"), words
method = option.get("--method", "GET")
if method == "GET":
    github["asked"] = words
    value = github["pulls"] if path.endswith("/pulls") else github["comments"]
    print(subprocess.run(["jq", "-r", option["--jq"]], input=json.dumps(value), text=True, check=True, stdout=subprocess.PIPE).stdout, end="")
else:
    name, _, file = option["-F"].partition("=@")
    body = {{name: pathlib.Path(file).read_text()}}
    number = int(path.rsplit("/", 1)[1]) if method == "PATCH" else 100 + len(github["comments"])
    assert path == "repos/mylab/kernels/issues/" + (f"comments/{{number}}" if method == "PATCH" else "7/comments"), path
    github["comments"] = [entry for entry in github["comments"] if entry["id"] != number]
    github["comments"].append({{"id": number, "user": {{"login": "github-actions[bot]"}}, **body}})
state.write_text(json.dumps(github))
"""


def pull(number, sha=SHA):
    return {"number": number, "head": {"sha": sha}}


class Github:
    """The repository on GitHub, and a runner of the commenting workflow. Mutable: comments are written."""

    def __init__(self, folder: Path, pulls, document, comments=(), branch="tune"):
        (folder / "work").mkdir()
        self.runner = Runner(folder, folder / "work")
        self.runner.stub("gh", GH.format(python=sys.executable))
        self.runner.stub("gatebench", f'#!/bin/sh\nexec {sys.executable} -m gatebench.cli.main "$@"\n')
        self.runner.stub("pip", "#!/bin/sh\n")
        self.state = self.runner.stubs / "github.json"
        text = document if isinstance(document, str) or document is None else json.dumps(document)
        artifacts = {} if text is None else {"42/gatebench-json": text}
        self.state.write_text(json.dumps({"pulls": pulls, "artifacts": artifacts, "comments": list(comments)}))
        run = "github.event.workflow_run"
        self.context = {
            "github.token": "t", "github.server_url": "https://github.com", "github.repository": "mylab/kernels", f"{run}.id": "42",
            f"{run}.head_repository.owner.login": "stranger", f"{run}.head_branch": branch, f"{run}.head_sha": SHA,
        }  # fmt: skip

    def run(self):
        """Run the job's scripts until one fails; returns what each left, by name."""
        done = {}
        for step in steps_of(load(COMMENT)):
            if "run" not in step or (step.get("if") and not self.context.get("steps.pull.outputs.number")):
                continue
            left = done[step["name"]] = self.runner.run(step, self.context)
            self.context |= {f"steps.pull.outputs.{name}": text for name, text in left.outputs.items()}
            if left.code:
                break
        return done

    @property
    def comments(self):
        """Return the comments as they are now, by id."""
        return {entry["id"]: entry["body"] for entry in json.loads(self.state.read_text())["comments"]}

    @property
    def asked(self):
        """Return the words of the latest question."""
        return json.loads(self.state.read_text())["asked"]


DOCUMENT = ab_json(report(*EVERY))


def test_a_comment_is_written_once_and_then_edited(tmp_path):
    other = {"id": 1, "user": {"login": "somebody"}, "body": f"{MARKER} not yours"}
    github = Github(tmp_path, [pull(7)], DOCUMENT, [other])
    done = github.run()
    assert [left.code for left in done.values()] == [0] * len(done), done
    page = markdown_of(DOCUMENT)
    link = "[The measuring run](https://github.com/mylab/kernels/actions/runs/42)"
    assert github.comments == {1: other["body"], 101: f"{MARKER}\n{page}\n{link}\n"}
    (github.runner.workspace / "measured" / "ab.json").unlink()
    (github.runner.workspace / "measured").rmdir()
    state = json.loads(github.state.read_text())
    newer = ab_json(report(SLOWER))
    state["artifacts"]["42/gatebench-json"] = json.dumps(newer)
    github.state.write_text(json.dumps(state))
    github.run()
    assert github.comments == {1: other["body"], 101: f"{MARKER}\n{markdown_of(newer)}\n{link}\n"}


@pytest.mark.parametrize("pulls", [[], [pull(7, "6" * 40)], [pull(7), pull(8)]], ids=["none", "newer commit", "two"])
def test_without_one_pull_request_of_this_commit_nothing_is_written(tmp_path, pulls):
    github = Github(tmp_path, pulls, DOCUMENT)
    done = github.run()
    assert list(done) == ["Find the pull request"]
    assert done["Find the pull request"].code == 0
    assert "no comment" in done["Find the pull request"].out
    assert github.comments == {}


def test_of_a_strangers_pull_requests_the_one_with_the_measured_commit_gets_the_comment(tmp_path):
    github = Github(tmp_path, [pull(6, "6" * 40), pull(7)], DOCUMENT)
    github.run()
    assert list(github.comments) == [100]
    assert github.comments[100].startswith(f"{MARKER}\n**GateBench: wrong or failed")


@pytest.mark.parametrize("branch", ["$(touch evil)", "`touch evil`", '";touch${IFS}evil;"', "x&state=closed", "--help"])
def test_the_name_of_a_branch_is_only_a_name(tmp_path, branch):
    github = Github(tmp_path, [], DOCUMENT, branch=branch)
    assert github.run()["Find the pull request"].code == 0
    assert github.asked[:8] == ["api", "--method", "GET", "repos/mylab/kernels/pulls", "-f", "state=open", "-f", f"head=stranger:{branch}"]  # fmt: skip
    assert list(github.runner.workspace.iterdir()) == []


def test_a_run_that_measured_nothing_is_said_so(tmp_path):
    github = Github(tmp_path, [pull(7)], None)
    github.run()
    (body,) = github.comments.values()
    assert body.splitlines()[:2] == [MARKER, "**GateBench: nothing was measured**"]


BENT = {
    "no JSON": "<script>evil</script>",
    "empty": "",
    "a command": "::error::evil\n::set-output name=number::1",
    "another schema": json.dumps(DOCUMENT | {"schema": "::error::evil\n::error::evil"}),
    "an unknown key": json.dumps(DOCUMENT | {"pull_request": 1}),
    "a binary": "\ud800\x00",
}


@pytest.mark.parametrize("name", BENT)
def test_a_bent_file_ends_the_job_with_one_line_and_no_comment(tmp_path, name):
    github = Github(tmp_path, [pull(7)], BENT[name])
    last = list(github.run().values())[-1]
    assert (last.code, last.out) == (2, "")
    assert len(last.err.splitlines()) == 1
    assert last.err.startswith("measured/ab.json: ")
    assert github.comments == {}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_wrote_is_shown_and_nothing_more(tmp_path, name):
    document = bend(DOCUMENT, HOSTILE[name])
    github = Github(tmp_path, [pull(7)], document)
    done = github.run()
    printed = "".join(left.out + left.err for left in done.values())
    assert not [line for line in printed.splitlines() if line.lstrip().startswith("::")]
    assert list(done["Find the pull request"].outputs) == ["number"]
    (body,) = github.comments.values()
    assert body.startswith(f"{MARKER}\n{markdown_of(document)}\n")
    assert body.count(MARKER) == 1
    assert len(body) < 65_536
