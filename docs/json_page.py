"""Write docs/json.md from the schemas: `.venv/bin/python docs/json_page.py > docs/json.md`."""

from collections.abc import Iterator, Mapping
from typing import Any

from gatebench.report.ci.schemas import schema

HEAD = """# JSON

What `--json` prints, for programs. Written from the schemas in `gatebench/report/schemas/` (JSON Schema 2020-12; they come
along when GateBench is installed); a test fails where this page is older than they are.

- Null is what was not measured, never 0. Numbers that are not finite are the strings `"inf"`, `"-inf"`, `"nan"`.
- Times are in ns, sizes in bytes, changes and shares are fractions: 0.032 is +3.2 %.
- `check-jsonschema --schemafile gatebench/report/schemas/ab.json ab.json` checks a file; `gatebench.report.ci.schemas.read_ab`
  does so and refuses what is larger than 64 MiB.

```sh
gatebench ab main quick --json > ab.json
jq -r '.sentences[]' ab.json
jq -r '.cases[] | select(.verdicts.time.verdict == "slower") | [.case_id, .verdicts.time.change] | @tsv' ab.json
```
"""
AB = """
## `gatebench ab --json` (gatebench-ab/1)

The Markdown, the JUnit XML and the annotations of `ab` are made from this value and nothing else. A job that holds secrets
may therefore render what a job without them measured (a pull request from a fork): it checks the file by the schema and
makes the page itself. That a file keeps the schema says nothing about who wrote it: the exit code and all names in it are
the writer's. The page shows every such text as code, shortened, with hidden characters made visible, and computes its
sentences again from the numbers.

In data, `slower` is more of what is judged and `faster` is less, whatever the quantity. People read:

| quantity | `slower` | `faster` | `wrong`, `failed` |
|---|---|---|---|
| `time` | slower | faster | wrong, failed |
| `compile` | slower to compile | faster to compile | |
| `peak_bytes`, `saved_bytes` | more memory | less memory | |
| `error_ratio` | less exact | more exact | |
| `coverage` | | | coverage lost |

In JUnit XML a case is a test case `name = case_id`, `classname = gate.implementation`: a failure where any quantity is
`slower`, an error where the head is wrong or failed, skipped with its reason where its time has no verdict (inconclusive,
new, gone, unsupported, unavailable, not measured). One test case more, `controls`, is an error where the run is unfit.
"""
RUN = """
## `gatebench run --json`
"""
_DEFINED = {"case": "A case", "side": "A side of a case", "verdict": "A verdict", "version": "A version", "largest_error": "A largest error", "measurement": "A measurement"}  # fmt: skip


def page() -> str:
    """Return the page as Markdown."""
    return HEAD + AB + _tables(schema("ab")) + RUN + _tables(schema("run"))


def _tables(whole: Mapping[str, Any]) -> str:
    """Return a table of the top's fields, and one per definition that is an object with fields."""
    parts = [f"\n{whole['description']}\n\n{_table(whole)}"]
    for name, title in _DEFINED.items():
        defined = whole["$defs"].get(name)
        if defined is not None:
            parts.append(f"\n### {title}\n\n{defined['description']}\n\n{_table(defined)}")
    return "".join(parts)


def _table(whole: Mapping[str, Any]) -> str:
    rows = [f"| `{path}` | {kind} | {meaning} |" for path, kind, meaning in _fields(whole, "")]
    return "\n".join(["| field | type | |", "|---|---|---|", *rows, ""])


def _fields(whole: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield (path, type, meaning) of every field; those of an object or list inside follow it."""
    for name, field in whole["properties"].items():
        path = prefix + name
        yield path, _kind(field), field.get("description", "").replace("|", "\\|")
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _fields(inner, path + ("[]." if "items" in field else "."))


def _kind(field: Mapping[str, Any]) -> str:
    """Return a field's type as people say it."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return {"number": "number or null", "counts": "counts"}.get(name, f"a {name.replace('_', ' ')}")
    if "const" in field:
        return f'`"{field["const"]}"`'
    if "enum" in field:
        return ", ".join("null" if value is None else f"`{value}`" for value in field["enum"])
    if "additionalProperties" in field and "propertyNames" in field:
        return f"{_kind(field['additionalProperties']).removeprefix('a ').removesuffix('s')}s by quantity"
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = {"string": "text", "array": "list", "boolean": "true or false"}
    if "items" in field and "$ref" in field["items"]:
        return f"list of {_kind(field['items']).removeprefix('a ')}s"
    return " or ".join(words.get(name, name) for name in types)


if __name__ == "__main__":
    print(page(), end="")
