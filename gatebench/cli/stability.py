"""`gatebench stability`: do gradients survive? Measures the metrics of gates, stores a run, prints a table."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options, own_files


def command(
    context: typer.Context,
    gates: Annotated[list[str], typer.Argument(help="Gates, e.g. lstm gru, or lstm,gru.")],
    seq_len: options.SeqLen = "128",
    hidden_size: options.HiddenSize = "64",
    batch: options.Batch = "4",
    init: Annotated[
        str,
        typer.Option(
            help="torch, keras, xavier, irnn, orthogonal=<g>, gaussian=<g>, forget_bias=<number>, chrono, chrono=<T_max>; comma-separated."
        ),
    ] = "torch",
    dtype: Annotated[str, typer.Option(help="float64, float32, bfloat16; comma-separated.")] = "float64",
    seeds: Annotated[int, typer.Option(min=1, help="Random models per combination.")] = 4,
    weights: own_files.Weights = None,
    prefix: own_files.Prefix = None,
    layer: own_files.Layer = None,
    direction: own_files.Direction = None,
    source: own_files.Source = None,
    inputs: own_files.Inputs = None,
    option: options.Options = None,
    plugin: options.Plugins = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Measure gradient norms by lag, half-life, reach, Lyapunov exponent and class of gates with time.

    Exit codes: 0 all well, 2 bad usage, 3 a combination failed or a plugin cannot be used, 130 interrupted.
    """
    from gatebench.cli.request import COMMAND_LINE, as_toml, flags_named, say_broken_plugins
    from gatebench.report.exit_code import stability_exit_code
    from gatebench.report.stored_run import print_stability
    from gatebench.run import execute
    from gatebench.run.discover import discover
    from gatebench.run.progress import for_terminal
    from gatebench.suites import SCHEMA, Narrowing, suite_from_data

    group = {
        "why": "asked for on the command line",
        "gates": [name for text in gates for name in options.names(text)],
        "init": list(options.names(init)),
        "dtypes": list(options.names(dtype)),
        "seq_len": list(options.sizes("--seq-len", seq_len)),
        "hidden_size": list(options.sizes("--hidden-size", hidden_size)),
        "batch": list(options.sizes("--batch", batch)),
        "seeds": seeds,
    }
    group = own_files.with_files(
        group, lambda name: options.is_given(context, name),
        weights=weights, prefix=prefix, layer=layer, direction=direction, source=source, inputs_file=inputs,
    )  # fmt: skip
    data = {"schema": SCHEMA, "name": "command-line", "measure": {}, "cases": [], "stability": [group]}
    with flags_named(gates="stability"):
        suite = suite_from_data(data, as_toml(own_files.without_paths(data)), COMMAND_LINE, Path())
        narrowing = Narrowing(options=options.options_by_name(option))
        request = execute.Request(suite, narrowing, plugins=tuple(plugin or []))
        catalogue = discover(request.all_plugins())
        plan = execute.make_plan(request, catalogue)
    broken = say_broken_plugins(catalogue, plugin or [])
    outcome = execute.start(request, options.store_path(store), plan, for_terminal())
    results = print_stability(outcome.folder, as_json)
    sys.exit(stability_exit_code(results.stability, outcome.interrupted) or (3 if broken else 0))
