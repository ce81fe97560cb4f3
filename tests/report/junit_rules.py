"""What JUnit XML must be for Jenkins' xunit plugin (junit-10.xsd): elements, their attributes, their children."""

import xml.etree.ElementTree as ET

# element -> (required attributes, allowed attributes, allowed children)
RULES = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": (
        {"name"}, {"name", "time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}  # fmt: skip


def parsed(text):
    """Return the root of a JUnit file after checking every rule, its counts and that case names are distinct."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        required, allowed, children = RULES[element.tag]
        assert required <= set(element.keys()) <= allowed
        assert {child.tag for child in element} <= children
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == int(root.get("tests")) == len(cases)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{tag}"))
    assert all(sum(child.tag != "system-out" for child in case) <= 1 for case in cases)
    names = [case.get("name") for case in cases]
    assert len(set(names)) == len(names)
    return suite


def outcomes(suite):
    """Return by case name what became of it and the message."""
    found = {}
    for case in suite.findall("testcase"):
        bad = next((child for child in case if child.tag != "system-out"), None)
        found[case.get("name")] = ("passed", None) if bad is None else (bad.tag, bad.get("message"))
    return found
