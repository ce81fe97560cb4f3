"""`gatebench run`: measure a suite, or what the flags name, into a run folder, and print the table."""

import sys
from functools import partial
from typing import Annotated, Any

import typer

from gatebench.cli import options
from gatebench.cli.options import store_path


def command(
    suite: Annotated[
        str | None, typer.Argument(help="A suite file, or the name of a shipped suite (quick, ...).")
    ] = None,
    gate: options.Gates = None,
    implementation: options.Implementations = None,
    mode: options.Modes = None,
    glob: options.Glob = "",
    dtype: options.Dtypes = None,
    batch: options.Batch = None,
    seq_len: options.SeqLen = None,
    hidden_size: options.HiddenSize = None,
    input_size: options.InputSize = None,
    device: options.Device = "",
    threads: options.Threads = None,
    plugin: options.Plugins = None,
    option: options.Options = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="Blocks of fresh processes.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Samples per block.")] = None,
    store: options.Store = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print cases, stability requests, counts and the expected time; measure nothing."
        ),
    ] = False,
    resume: Annotated[str | None, typer.Option(help="Finish an interrupted run: its id, or `latest`.")] = None,
    baseline: options.Baseline = None,
    long: options.Long = False,
    metrics: options.Metrics = None,
    markdown: options.Markdown = None,
    junit: options.Junit = None,
    as_json: options.Json = False,
) -> None:
    """Verify and time implementations, store a run folder, print the table.

    Exit codes: 0 all well, 2 bad usage, 3 a case was wrong or failed, or an
    implementation named with -i, or a plugin, cannot run, 130 interrupted (what was measured is kept).
    """
    from gatebench.cli.request import build_request, flags_named, say_broken_plugins
    from gatebench.report.ci.outputs import Outputs
    from gatebench.report.exit_code import exit_code, stability_exit_code
    from gatebench.report.listings import print_dry_run
    from gatebench.report.stored_run import View, print_run, write_run_outputs
    from gatebench.report.table import METRICS
    from gatebench.run import execute
    from gatebench.run.discover import discover
    from gatebench.run.progress import for_terminal
    from gatebench.run.resume import resume as resume_run

    where = store_path(store)
    outputs = Outputs(markdown, junit, as_json)
    outputs.check()
    broken = False
    columns = options.known_names("--metrics", "metric", metrics, METRICS)
    if resume is not None:
        options.goes_alone("--resume", {
            "SUITE": suite, "-g": gate, "-i": implementation, "-m": mode, "-k": glob, "--dtype": dtype, "--batch": batch,
            "--seq-len": seq_len, "--hidden-size": hidden_size, "--input-size": input_size, "--device": device,
            "--threads": threads, "-o": option, "--blocks": blocks, "--rounds": rounds, "--dry-run": dry_run,
        })  # fmt: skip
        name = None if resume == "latest" else resume
        outcome = resume_run(
            where, name, for_terminal(), plugin or [], accept=partial(options.check_baseline, baseline)
        )
    else:
        flags: dict[str, Any] = {
            "gates": gate, "implementations": implementation, "modes": mode, "dtypes": dtype, "batch": batch,
            "seq_len": seq_len, "hidden_size": hidden_size, "input_size": input_size, "glob": glob, "device": device, "threads": threads,
            "options": options.options_by_name(option),
        }  # fmt: skip
        measure = {key: value for key, value in (("blocks", blocks), ("rounds", rounds)) if value is not None}
        with flags_named():
            request = build_request(suite, flags, measure, plugin or [])
            catalogue = discover(request.all_plugins(), ceilings=not dry_run)
            plan = execute.make_plan(request, catalogue)
        options.check_baseline(baseline, plan)
        broken = say_broken_plugins(catalogue, plugin or [])
        if dry_run:
            print_dry_run(plan, as_json)
            return
        outcome = execute.start(request, where, plan, for_terminal())
    results = print_run(outcome.folder, View(baseline, long=long, metrics=columns, as_json=as_json), fresh=True)
    write_run_outputs(results, outputs)
    code = exit_code(results.measurements, outcome.named, outcome.interrupted)
    code = code or stability_exit_code(results.stability, outcome.interrupted)
    sys.exit(code or (3 if broken else 0))
