"""Draw the pictures of docs/stability.md by the commands that the page shows: python docs/pictures.py [name ...]"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "stability.md"
DRAWN = re.compile(r"--draw \w+=(docs/images/\S+)")


def commands(page: str) -> Iterator[list[str]]:
    """Yield the words of each command of the page that draws a picture."""
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        for command in block.replace("\\\n", " ").splitlines():
            if DRAWN.search(command):
                yield shlex.split(command)


def main(names: list[str]) -> None:
    """Run the commands whose pictures are asked for, all without names, in a store that is thrown away."""
    for words in commands(PAGE.read_text(encoding="utf-8")):
        if names and not any(name in word for name in names for word in words):
            continue
        with tempfile.TemporaryDirectory() as store:
            start = [sys.executable, "-m", "gatebench.cli.main", *words[1:], "--store", store]
            subprocess.run(start, cwd=ROOT, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
