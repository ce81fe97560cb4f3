"""Write docs/columns.md from the store's schema: `.venv/bin/python docs/columns.py > docs/columns.md` (make docs)."""

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
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
