"""The repository of callables on the path, and banks with known noise."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "repository"))

collect_ignore = ["repository"]  # what it holds other tools collect
