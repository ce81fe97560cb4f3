"""`gatebench ab`: measure two versions of the code in one job, and say what became slower, with a known error rate."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options
from gatebench.cli.options import store_path

_MOST_NAMES = 3
_FAIL_ON = ["slower,wrong,unfit,undecided"]


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BASE [HEAD]] [SUITE]", help="Git revisions or folders, and a suite of the head."),
    ] = None,
    gate: options.Gates = None,
    implementation: options.Implementations = None,
    mode: options.Modes = None,
    glob: options.Glob = "",
    dtype: options.Dtypes = None,
    option: options.Options = None,
    margin: Annotated[str, typer.Option(help="Up to which a change of time counts as the same. (default: 3%)")] = "",
    time_limit: Annotated[
        str, typer.Option(help="E.g. 10m: cuts cases from the end of the suite, and says which.")
    ] = "",
    build: options.Build = None,
    plugin: options.Plugins = None,
    python_base: Annotated[str | None, typer.Option(help="Interpreter of the base.")] = None,
    python_head: Annotated[str | None, typer.Option(help="Interpreter of the head.")] = None,
    fail_on: Annotated[
        list[str], typer.Option(help="What fails the job, comma-separated: slower, wrong, unfit, undecided; or none.")
    ] = _FAIL_ON,
    decided: Annotated[str, typer.Option(help="Share of the cases that need a verdict.")] = "80%",
    no_wait: options.NoWait = False,
    markdown: options.Markdown = None,
    junit: options.Junit = None,
    store: options.Store = None,
    long: options.Long = False,
    as_json: options.Json = False,
) -> None:
    """Measure two versions of the code, side by side in one job, and judge each case.

    BASE and HEAD are git revisions of the repository that you stand in, or folders. Without them: the
    merge-base with the default branch against the working tree, with the suite that the table
    tool.gatebench of pyproject.toml names, or `quick`.

    Exit codes, first match: 130 interrupted, 2 bad usage, 3 a case of the head is wrong or failed, 4 the
    machine is unfit or a control failed, 1 something became slower, 5 too few cases were decided, 0.
    """
    from gatebench.report.ab_run import ab_document, print_ab
    from gatebench.report.ci.ab_markdown import markdown_of
    from gatebench.report.ci.annotations import annotations_of
    from gatebench.report.ci.junit import ab_junit
    from gatebench.report.ci.outputs import Outputs, write_outputs
    from gatebench.run.ab.job import AbRequest, run_ab
    from gatebench.run.ab.settings import percent, seconds
    from gatebench.run.progress import for_terminal
    from gatebench.store.read import read_run
    from gatebench.suites import Narrowing

    outputs = Outputs(markdown, junit, as_json)
    outputs.check()
    base, head, suite = sides_and_suite(names or [])
    narrowing = Narrowing(
        gates=options.names(gate), implementations=options.names(implementation), modes=options.names(mode),
        dtypes=options.names(dtype), glob=glob, options=options.options_by_name(option),
    )  # fmt: skip
    request = AbRequest(
        base, head, suite, narrowing=narrowing, plugins=tuple(plugin or ()), build=build,
        pythons={"base": python_base, "head": python_head},
        margin=percent("--margin", margin) if margin else None,
        time_limit_s=seconds("--time-limit", time_limit) if time_limit else None,
        fail_on=() if options.names(fail_on) == ("none",) else options.names(fail_on),
        decided=percent("--decided", decided), wait=not no_wait, command=as_typed(sys.argv[1:]),
    )  # fmt: skip
    outcome = run_ab(request, store_path(store), for_terminal(), lambda text: print(text, file=sys.stderr))
    run = read_run(outcome.folder)
    document = ab_document(run)
    print_ab(run, document, long, as_json)
    write_outputs(
        outputs, lambda: markdown_of(document), lambda: ab_junit(document), lambda: annotations_of(document)
    )  # fmt: skip
    sys.exit(document["exit_code"])


def sides_and_suite(names: list[str]) -> tuple[str | None, str | None, str | None]:
    """Return base, head and suite: the last name is a suite where it is a TOML file, one of suites/ here, or a shipped one's."""
    from gatebench.errors import UserError
    from gatebench.suites import shipped_suites

    if len(names) > _MOST_NAMES:
        raise UserError(
            "ab", f"{len(names)} names are given", "[BASE [HEAD]] [SUITE] is accepted", "see `gatebench ab --help`"
        )
    suite = names[-1] if names and (len(names) == _MOST_NAMES or _is_suite(names[-1], shipped_suites())) else None
    sides = [*(names[:-1] if suite else names), None, None]
    return sides[0], sides[1], suite


def _is_suite(name: str, shipped: list[str]) -> bool:
    return name.endswith(".toml") or name in shipped or Path("suites", f"{name}.toml").is_file()


def as_typed(arguments: list[str]) -> str:
    """Return the command line as it can be pasted into a shell, without what only this machine has."""
    import shlex

    from gatebench.run.scrub import scrub

    return shlex.join(["gatebench", *map(scrub, arguments)])
