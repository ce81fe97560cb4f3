"""JUnit XML, which Jenkins, GitLab and GitHub's actions read: a test case per case, its numbers in system-out.

Source: the schema of Jenkins' xunit plugin, junit-10.xsd. A test's `time` is left out: how long a case took to measure is
nobody's question, and the time of one call would be read as that.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gatebench.report.ci.escapes import clean
from gatebench.report.ci.outcomes import ERROR, PASSED, SKIPPED, Outcome, ab_outcomes, run_outcomes


def ab_junit(document: Mapping[str, Any]) -> str:
    """Return an A/B run as JUnit XML; the controls are one test case more. document: keeps the schema gatebench-ab/1."""
    failures = document["control_failures"]
    kind = ERROR if failures else (PASSED if document["controls"] else SKIPPED)
    word, message = (
        ("unfit", "; ".join(failures)) if failures else ("", "" if document["controls"] else "no control ran")
    )
    controls = Outcome("controls", "gatebench", kind, word, message)
    sides = {name: _version(document["sides"][name]) for name in ("base", "head")}
    return _xml("gatebench ab", document, [*ab_outcomes(document), controls], sides)


def run_junit(measurements: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Return a plain run as JUnit XML. measurements: columns as in store.schema.TABLES."""
    facts = {**manifest, "suite": (manifest.get("suite") or {}).get("name")}
    return _xml("gatebench run", facts, run_outcomes(measurements), {})


def _version(side: Mapping[str, Any]) -> str:
    return f"{side['given']} {side['sha'] or ''}{' with uncommitted changes' if side['dirty'] else ''}"


def _xml(verb: str, facts: Mapping[str, Any], outcomes: Sequence[Outcome], more: Mapping[str, str]) -> str:
    counts = {"tests": len(outcomes)}
    counts |= {f"{kind}s": sum(outcome.kind == kind for outcome in outcomes) for kind in ("failure", "error")}
    attributes = {name: str(count) for name, count in counts.items()}
    skipped = str(sum(outcome.kind == SKIPPED for outcome in outcomes))
    name = clean(f"{verb} {facts['suite'] or ''}")
    root = ET.Element("testsuites", {"name": name, **attributes})
    suite = ET.SubElement(root, "testsuite", {"name": name, **attributes, "skipped": skipped})
    if facts.get("created_utc"):
        suite.set("timestamp", clean(str(facts["created_utc"])))
    properties = ET.SubElement(suite, "properties")
    known = {"run_id": facts["run_id"], "environment_class": facts.get("environment_class"), **more}
    for key, value in known.items():
        if value:
            ET.SubElement(properties, "property", {"name": key, "value": clean(str(value))})
    for outcome in outcomes:
        _add(suite, outcome)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _add(suite: ET.Element, outcome: Outcome) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": clean(outcome.group), "name": clean(outcome.case_id)})
    if outcome.kind != PASSED:
        found = ET.SubElement(case, outcome.kind, {"message": clean(outcome.message)})
        if outcome.kind != SKIPPED:
            found.set("type", clean(outcome.word))
    if outcome.lines:
        ET.SubElement(case, "system-out").text = "\n".join(clean(line) for line in outcome.lines)
