"""Text that others wrote (names, reasons, commits), made harmless: one line, nothing hidden, nothing that a reader acts upon."""

import re
import unicodedata

NAME_BYTES = 160  # longer than any case id of a built-in gate; a page of 60 kB must hold many
REASON_BYTES = 240
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # all but letters, marks, digits, symbols and spaces
_BACKTICKS = re.compile(r"`+")


def clean(text: str) -> str:
    """Return text as one line: white space as single spaces, hidden characters as U+FFFD so that one sees them.

    Hidden are control and format characters (among them those that turn the reading direction), lone surrogates, and code
    points without a meaning; XML 1.0 forbids most of them.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join("".join(_visible(letter) for letter in text).split())


def _visible(letter: str) -> str:
    if letter.isspace():
        return " "
    return "\ufffd" if unicodedata.category(letter).startswith("C") else letter


def escaped(text: str) -> str:
    """Return text with what a terminal would act upon, or hide, as Python writes it, e.g. `\\x1b` for escape; a tab stays."""
    if text.isprintable():
        return text
    return "".join(letter.encode("unicode_escape").decode() if _is_hidden(letter) else letter for letter in text)


def _is_hidden(letter: str) -> bool:
    return letter != "\t" and unicodedata.category(letter) in _HIDDEN


def shorten(text: str, most_bytes: int) -> str:
    """Return text of at most so many bytes of UTF-8; of a longer one both ends, which tell names apart."""
    data = text.encode(errors="replace")
    if len(data) <= most_bytes:
        return text
    half = (most_bytes - len("…".encode())) // 2
    return data[:half].decode(errors="ignore") + "…" + data[-half:].decode(errors="ignore")


def code(text: str, most_bytes: int = NAME_BYTES) -> str:
    """Return text as a Markdown code span: no mention, link, HTML or emphasis is found inside one.

    Source: CommonMark 6.1; a fence of backticks longer than any inside.
    """
    text = shorten(clean(text), most_bytes)
    if not text:
        return "–"
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def code_cell(text: str, most_bytes: int = NAME_BYTES) -> str:
    """Return text as a code span inside a table, where a bar ends a cell unless a backslash stands before it.

    A backslash of the text's own before a bar is read differently by different readers: a space comes between.
    """
    return code(text, most_bytes).replace("\\|", "\\ |").replace("|", "\\|")


def fenced(lines: list[str], language: str) -> str:
    """Return lines as a Markdown code block, each made one harmless line."""
    lines = [clean(line) for line in lines]
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])
