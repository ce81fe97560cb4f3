"""Workflow files as data, and their `run:` steps as GitHub would run them: bash, an environment, files for the outputs."""

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "action.yml"
EXAMPLE = ROOT / "examples" / "kernel-author"
MEASURE, COMMENT = (EXAMPLE / ".github" / "workflows" / name for name in ("measure.yml", "comment.yml"))
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = [MEASURE, COMMENT, *OWN]
BASH = ["bash", "--noprofile", "--norc", "-euo", "pipefail"]  # GitHub's `shell: bash`, and unset variables are errors
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(path):
    """Return a workflow or an action; `on` stays a word, as in YAML 1.2."""
    return YAML(typ="safe", pure=True).load(path)


def steps_of(document):
    """Return all steps of a workflow or a composite action."""
    jobs = [document["runs"]] if "runs" in document else document["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def step_named(path, name):
    """Return the one step of this name."""
    (step,) = [step for step in steps_of(load(path)) if step.get("name") == name]
    return step


def evaluated(text, context):
    """Return a text with its expressions replaced: names of the context, and `a || 'b'`; anything else is a KeyError."""

    def value(match):
        for part in match[1].split("||"):
            name = part.strip()
            found = name[1:-1] if name.startswith("'") else context[name]
            if found:
                return found
        return ""

    return _EXPRESSION.sub(value, str(text))


def inputs(**given):
    """Return the context of the action's inputs: the given ones, defaults for the rest."""
    known = load(ACTION)["inputs"]
    named = {name.replace("_", "-"): text for name, text in given.items()}
    assert set(named) <= set(known)
    return {f"inputs.{name}": named.get(name, entry["default"]) for name, entry in known.items()}


@dataclass
class Done:
    """What a step left: exit code, printed text, outputs as written, and the outputs by name."""

    code: int
    out: str
    err: str
    written: str
    outputs: dict[str, str]


class Runner:
    """A runner's machine: a folder to work in, a temporary folder, a PATH with stand-ins. Mutable: steps follow each other."""

    def __init__(self, folder: Path, workspace: Path, **variables: str):
        self.temporary, self.stubs, self.workspace = folder / "temp", folder / "stubs", workspace
        self.temporary.mkdir()
        self.stubs.mkdir()
        path = f"{self.stubs}{os.pathsep}{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("HOME", "OMP_NUM_THREADS", "TMPDIR") if name in os.environ}
        self.environment = kept | {
            "PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_BASE_REF": "", "GITHUB_REPOSITORY": "mylab/kernels", "RUNNER_TEMP": str(self.temporary), **variables,
        }  # fmt: skip
        for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"):
            self.environment[name] = str(folder / name.lower())

    def stub(self, name, text):
        """Put a program onto the PATH."""
        path = self.stubs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, step, context):
        """Start a step with its environment; its outputs begin empty."""
        Path(self.environment["GITHUB_OUTPUT"]).write_text("")
        given = {name: evaluated(text, context) for name, text in step.get("env", {}).items()}
        return subprocess.Popen(
            [*BASH, "-c", step["run"]], cwd=self.workspace, env=self.environment | given, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores it, bash for good
        )  # fmt: skip

    def finish(self, process, timeout=60):
        """Return what a step left."""
        out, err = process.communicate(timeout=timeout)
        written = Path(self.environment["GITHUB_OUTPUT"]).read_text()
        outputs = dict(line.split("=", 1) for line in written.splitlines())
        return Done(process.returncode, out, err, written, outputs)

    def run(self, step, context, timeout=60):
        """Run a step to its end."""
        return self.finish(self.start(step, context), timeout)


def git(folder, *arguments):
    """Run git as a user with a name; returns what it prints."""
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"]  # fmt: skip
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder, subject, **files):
    """Write files (name with `__` for `.`) and commit them; returns the commit."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", subject)
    return git(folder, "rev-parse", "HEAD")
