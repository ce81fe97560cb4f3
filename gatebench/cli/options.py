"""Options that several verbs share, and how their text is read."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatebench.errors import UserError, unknown

if TYPE_CHECKING:
    from gatebench.run.plan import Plan

# Lists are comma-separated, and may be given several times: `-g gru -g lstm` means what `-g gru,lstm` does.
Gates = Annotated[list[str] | None, typer.Option("--gate", "-g", help="Gates, comma-separated, or family:<name>.")]
Implementations = Annotated[
    list[str] | None, typer.Option("--implementation", "-i", help="Implementations, comma-separated.")
]
Modes = Annotated[list[str] | None, typer.Option("--mode", "-m", help="forward, backward, forward_backward.")]
Glob = Annotated[str, typer.Option("-k", help="Glob on case ids, e.g. 'lstm/*T128*'.")]
Dtypes = Annotated[list[str] | None, typer.Option("--dtype", help="float32, bfloat16, float64.")]
Batch = Annotated[list[str] | None, typer.Option("--batch", help="Batch sizes, comma-separated.")]
SeqLen = Annotated[list[str] | None, typer.Option("--seq-len", help="Sequence lengths, comma-separated.")]
HiddenSize = Annotated[list[str] | None, typer.Option("--hidden-size", help="Hidden sizes, comma-separated.")]
InputSize = Annotated[list[str] | None, typer.Option("--input-size", help="Input sizes; the hidden size unless given.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda; without a suite only.")]
Threads = Annotated[
    list[str] | None, typer.Option("--threads", help="CPU threads, comma-separated; all cores unless given.")
]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="A plugin file; may be given several times.")]
Store = Annotated[
    Path | None, typer.Option("--store", help="Where runs are kept. (default: results, or GATEBENCH_STORE)")
]
Options = Annotated[
    list[str] | None,
    typer.Option("-o", help="Option of an implementation or a gate, e.g. compile.chunk=32 or lstm.num_layers=2."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Markdown = Annotated[
    Path | None, typer.Option(help="Write a Markdown page, `-` for stdout; goes to $GITHUB_STEP_SUMMARY, too.")
]
Junit = Annotated[Path | None, typer.Option(help="Write a JUnit XML file.")]
Build = Annotated[str | None, typer.Option(help="Command run once in each checkout, e.g. to compile extensions.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail where another job measures on this machine.")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", help="What speed-ups are divided by. (default: native, else eager)")
]
Long = Annotated[bool, typer.Option("--long", help="One row per case.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metrics", help="Columns of the long table, e.g. time,error,tokens_per_s,gb_per_s,compile."),
]


def store_path(given: Path | None) -> Path:
    """Return the store: the option, GATEBENCH_STORE, or results."""
    return given or Path(os.environ.get("GATEBENCH_STORE") or "results")


def is_given(context: typer.Context, name: str) -> bool:
    """Say whether the user gave an option, rather than its default standing in."""
    source = context.get_parameter_source(name)
    return source is not None and not source.name.startswith("DEFAULT")


def names(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Split a comma-separated list of names, or several of them; empty where none is given."""
    text = given if isinstance(given, str) else ",".join(given or ())
    return tuple(part.strip() for part in text.split(",") if part.strip())


def known_names(flag: str, kind: str, given: str | Iterable[str] | None, choices: Iterable[str]) -> tuple[str, ...]:
    """Split a comma-separated list of names; raises UserError for one that is not among `choices`."""
    choices = tuple(choices)
    found = names(given)
    for name in found:
        if name not in choices:
            raise unknown(flag, kind, name, choices)
    return found


def check_baseline(baseline: str | None, plan: "Plan") -> None:
    """Raise UserError for a baseline that will not be measured: better now than after the run."""
    choices = {case.implementation for case in plan.cases if plan.catalogue.refusal(case) is None}
    if baseline is not None and baseline not in choices:
        raise unknown("--baseline", "implementation", baseline, choices)


def goes_alone(flag: str, others: Mapping[str, Any]) -> None:
    """Raise UserError where one of the other options is given too."""
    for name, value in others.items():
        if value:
            raise UserError(
                flag, f"given together with {name}", "it goes with --store, --plugin and what chooses the table",
                f"drop {name}: the run knows what it was asked for",
            )  # fmt: skip


def sizes(
    flag: str, given: str | Iterable[str] | None, least: int = 1, what: str = "size", example: str = "128,512"
) -> tuple[int, ...]:
    """Split a comma-separated list of integers; raises UserError for anything but integers from `least`."""
    found = []
    for part in names(given):
        if not (part.isascii() and part.isdigit()) or int(part) < least:
            raise UserError(
                flag,
                f"{part!r} is no {what}",
                f"integers from {least}, comma-separated, are accepted",
                f"e.g. {flag} {example}",
            )
        found.append(int(part))
    return tuple(found)


def options_by_name(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """Read `-o name.option=value`, name a gate or an implementation; values are numbers, true, false, or text."""
    options: dict[str, dict[str, Any]] = {}
    for text in given or []:
        left, equals, value = text.partition("=")
        name, dot, option = left.rpartition(".")
        if not (equals and dot and name and option):
            raise UserError(
                "-o",
                f"{text!r} is no option",
                "<gate or implementation>.<option>=<value> is accepted",
                "e.g. -o compile.chunk=32",
            )
        options.setdefault(name, {})[option] = _value(value)
    return options


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
