"""Small git repositories of a kernel author, made for a test."""

import subprocess
from pathlib import Path

PLUGIN = """
import gatebench


@gatebench.implementation("toy:glu", gates=["glu"])
def forward(params, inputs, gate):
    return gate.forward(params, inputs)
"""
SUITE = """
schema = "gatebench-suite/1"
name = "speed"
why = "A kernel of one's own beside torch's."
plugins = ["my_glu.py"]

[measure]
sample_ms = 1
warmup_s = 0.01

[[cases]]
why = "One small shape."
gates = ["glu"]
implementations = ["toy:glu", "native"]
batch = [2]
seq_len = [8]
hidden_size = [16]
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git as a user with a name; returns what it prints."""
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, subject: str, **files: str) -> str:
    """Write files (name with `__` for `.`) and commit them; returns the commit."""
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path) -> Path:
    """Make a repository on branch main with the plugin and the suite in its first commit."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "first", my_glu__py=PLUGIN, speed__toml=SUITE)
    return folder
