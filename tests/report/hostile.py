"""Text that a stranger chose, in every place of an A/B run's JSON where text may stand; each holds the word `evil`."""

FREE = ("case_id", "gate", "implementation", "mode", "dtype", "device", "reason", "kernel", "error_tensor", "tensor", "given", "subject", "sha", "suite", "device_name", "environment_class")  # fmt: skip
SHORT = ("sha", "environment_class")  # which the schema keeps below 100 letters
HOSTILE = {
    "bars": "a | evil | b \\| c \\",
    "backticks": "```evil`` `x` ```",
    "html": "</code></details><script>evil()</script><!-- <img src=x onerror=evil()>",
    "mention": "@evil and @org/evil, closes #1 and GH-2",
    "links": "[evil](https://evil.com) ![evil](//evil.com/x.png) https://evil.com www.evil.com evil@evil.com <http://evil.com>",
    "lines": "evil\n\n# evil\r\n| evil |\n::error::evil\n<!-- evil",
    "direction": "evil\u202elive\u2066\u200f\u200b",
    "control": "evil\x00\x1b[31m\x07\x85\ufffe\ud800",
    "emphasis": "**evil** _evil_ ~~evil~~ $evil$ :evil:",
    "xml": "]]>&evil;<![CDATA[evil]]>\"'",
    "workflow": "::error::evil%0A::stop-commands::evil,file=evil",
    "only hidden": "\u200b\u202eevil\u202c",
}  # fmt: skip


def bend(value, text, key=""):
    """Return a JSON value with its free text replaced; case ids stay distinct."""
    if isinstance(value, dict):
        return {name: bend(entry, text, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [bend(entry, text, key) for entry in value]
    if isinstance(value, str) and key in FREE:
        return text[:100] if key in SHORT else (f"{text}{value}" if key == "case_id" else text)
    if isinstance(value, str) and key == "control_failures":
        return text
    return value
