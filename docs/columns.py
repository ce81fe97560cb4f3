"""Write docs/columns.md from the store's schema: `.venv/bin/python docs/columns.py > docs/columns.md` (make docs)."""

from gatebench.stability.metrics import METRICS
from gatebench.store.schema import TABLES

HEAD = """# Columns

What `gatebench.load("results")` gives, and the parquet files of a run folder hold: `.measurements`, `.samples`, `.accuracy`,
`.stability`, `.verdicts`, with `.runs` beside them. Null where something was not measured, never 0. Written from the code by
`make docs`; a test fails where this page is older than the code.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for table, columns in TABLES.items():
        rows = [f"| `{column.name}` | {column.type} | {column.unit} | {column.doc} |" for column in columns]
        parts.append("\n".join([f"## {table}\n", "| column | type | unit | |", "|---|---|---|---|", *rows, ""]))
        if table == "stability":
            parts.append(metrics())
    return "\n".join(parts)


def metrics() -> str:
    """Return the table of what the column `metric` of stability says."""
    rows = []
    for metric in METRICS.values():
        where = ", ".join([*metric.by, *([metric.index] if metric.index else [])])
        meaning = metric.meaning.replace("|", "\\|")
        rows.append(f"| `{metric.name}` | {metric.unit} | {where} | {metric.group or 'all'} | {meaning} |")
    head = ["| metric | unit | one for each | asked for by | |", "|---|---|---|---|---|"]
    return "\n".join(["What `metric` says, and which `--metric` asks for it:\n", *head, *rows, ""])


if __name__ == "__main__":
    print(page(), end="")
