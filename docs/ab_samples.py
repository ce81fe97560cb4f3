"""Write the samples of docs/ab.md and docs/ci.md again: a real A/B and a calibration of examples/kernel-author.

Twenty minutes, on a quiet machine: python docs/ab_samples.py. Each sample stands between two comments of its page.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
EXAMPLE = DOCS.parent / "examples" / "kernel-author"
BEFORE, AFTER = "output = torch.empty(value.shape", "output = torch.zeros(value.shape"
VERDICTS = (0, 1, 4, 5)  # exit codes of a job that came to an end


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        repo = make_repository(Path(folder) / "kernels")
        calibrated, _ = gatebench(repo, "calibrate", "suites/speed.toml")
        terminal, code = gatebench(repo, "ab", "main", "zeros", "--markdown", "ab.md", "--junit", "ab.xml")
        assert code in VERDICTS, terminal
        samples = {
            "terminal": fenced("console", f"$ gatebench ab main zeros\n{terminal}"),
            "calibrate": fenced("console", f"$ gatebench calibrate suites/speed.toml\n{calibrated}"),
            "markdown": "".join(f"> {line}".rstrip() + "\n" for line in (repo / "ab.md").read_text().splitlines()),
            "junit": fenced("xml", (repo / "ab.xml").read_text()),
        }
    for page in (DOCS / "ab.md", DOCS / "ci.md"):
        page.write_text(with_samples(page.read_text(encoding="utf-8"), samples), encoding="utf-8")
    if code != 1:
        print(f"the slower case was not found (exit code {code}): is the machine quiet?", file=sys.stderr)


def make_repository(folder: Path) -> Path:
    """Return a copy of the example, a repository of two commits: `main`, and `zeros`, whose forward is slower."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "results"))
    plugin = folder / "swiglu.py"
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "swiglu: forward and backward in Numba")
    git(folder, "checkout", "-q", "-b", "zeros")
    text = plugin.read_text()
    assert BEFORE in text
    plugin.write_text(text.replace(BEFORE, AFTER))
    commit(folder, "swiglu: begin with zeros")
    return folder


def commit(folder: Path, subject: str) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "commit", "-qm", subject)  # fmt: skip


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def gatebench(repo: Path, *arguments: str) -> tuple[str, int]:
    """Return what gatebench prints in 100 columns, and its exit code."""
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(DOCS.parent)}
    command = [sys.executable, "-m", "gatebench.cli.main", *arguments]
    done = subprocess.run(command, cwd=repo, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout, done.returncode


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def with_samples(page: str, samples: dict[str, str]) -> str:
    """Return a page with what stands between `<!-- sample: NAME -->` and `<!-- end -->` replaced."""

    def sample(match: re.Match[str]) -> str:
        return f"{match[1]}\n{samples[match[2]]}{match[3]}"

    return re.sub(r"(<!-- sample: (\w+) -->)\n.*?(<!-- end -->)", sample, page, flags=re.S)


if __name__ == "__main__":
    main()
