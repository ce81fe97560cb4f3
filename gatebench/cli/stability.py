"""`gatebench stability`: do gradients survive? Measures the metrics of gates, stores a run, prints a table."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.cli import options, own_files
from gatebench.errors import UserError
from gatebench.forms import DEFAULT_METRICS, METRICS, TASKS

_TRAINING = "Training"
_SEQ_LEN, _HIDDEN_SIZE, _BATCH = ["128"], ["64"], ["4"]
_INIT, _INPUTS, _DTYPE, _METRICS = ["torch"], ["normal"], ["float64"], [",".join(DEFAULT_METRICS)]
_COSTLY = [name for name in METRICS if name not in DEFAULT_METRICS]


def command(
    context: typer.Context,
    gates: Annotated[list[str], typer.Argument(help="Gates, e.g. lstm gru, or lstm,gru.")],
    seq_len: options.SeqLen = _SEQ_LEN,
    hidden_size: options.HiddenSize = _HIDDEN_SIZE,
    batch: options.Batch = _BATCH,
    init: Annotated[
        list[str],
        typer.Option(
            help="torch, keras, xavier, irnn, orthogonal=<g>, gaussian=<g>, forget_bias=<number>, chrono, chrono=<T_max>; comma-separated."
        ),
    ] = _INIT,
    inputs: Annotated[
        list[str],
        typer.Option(
            help="normal, zero, white=<s2>, correlated=<rho>; comma-separated. Or what the gate sees: a .npy file, (T, B, I) or (T, I) floats."
        ),
    ] = _INPUTS,
    dtype: Annotated[list[str], typer.Option(help="float64, float32, bfloat16, float16; comma-separated.")] = _DTYPE,
    seeds: Annotated[int, typer.Option(min=1, help="Random models per combination.")] = 4,
    metric: Annotated[
        list[str],
        typer.Option(
            show_default=False,
            help=f"Groups of metrics, comma-separated: {', '.join(METRICS)}; or * for all. (default: all but {', '.join(_COSTLY)})",
        ),
    ] = _METRICS,
    probes: Annotated[
        int, typer.Option(min=0, help="Gaussian cotangents that the profile is taken of, too, beside ones on h.")
    ] = 0,
    task: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_TRAINING, help=f"What to learn: {', '.join(TASKS)}; comma-separated. (default: adding)"
        ),
    ] = None,
    after_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=_TRAINING,
            help="Train so many steps; measure before, three times meanwhile, and after.",
        ),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(rich_help_panel=_TRAINING, help="Clip gradients at this norm, above 0. (default: no clipping)"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_TRAINING, help="Of Adam, above 0. (default: 0.01)")
    ] = None,
    weights: own_files.Weights = None,
    prefix: own_files.Prefix = None,
    layer: own_files.Layer = None,
    direction: own_files.Direction = None,
    source: own_files.Source = None,
    option: Annotated[
        list[str] | None,
        typer.Option("-o", help="Option of a gate, e.g. lstm.num_layers=2; may be given several times."),
    ] = None,
    plugin: options.Plugins = None,
    store: options.Store = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one combination may take.")] = 300.0,
    drawings: Annotated[
        list[str] | None,
        typer.Option(
            "--draw",
            metavar="[FIGURE=]FILE",
            help="Draw norms, summary, saturation, sweep, spectrum or training, e.g. sweep=my.png or sweep.png; .html, .png, .svg, .pdf. May be given several times.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Do gradients survive? Measure their norms by lag, half-life, Lyapunov exponents and class, also while a gate learns.

    Exit codes: 0 all well, 2 bad usage, 3 a combination failed, timed out, ran
    out of memory or has no value of what was asked for, or a plugin cannot be
    used, 130 interrupted. A metric that is refused where another one of the same
    combination has values is a line below the table, and no failure.
    """
    from gatebench.cli.request import COMMAND_LINE, as_toml, flags_named, say_broken_plugins
    from gatebench.report import pictures
    from gatebench.report.exit_code import asked_stability_exit_code
    from gatebench.report.stored_run import print_stability
    from gatebench.run import execute
    from gatebench.run.discover import discover
    from gatebench.run.progress import for_terminal
    from gatebench.suites import SCHEMA, Narrowing, suite_from_data

    group = {
        "why": "asked for on the command line",
        "gates": list(options.names(gates)),
        "init": list(options.names(init)),
        "dtypes": list(options.names(dtype)),
        "seq_len": list(options.sizes("--seq-len", seq_len)),
        "hidden_size": list(options.sizes("--hidden-size", hidden_size)),
        "batch": list(options.sizes("--batch", batch)),
        "seeds": seeds,
        "metrics": list(options.names(metric)),
        "probes": probes,
    }
    kinds, inputs_file = own_files.kinds_or_file(",".join(inputs))
    if inputs_file is None and options.is_given(context, "inputs"):
        group["inputs"] = kinds
    group = own_files.with_files(
        group, lambda name: options.is_given(context, name),
        weights=weights, prefix=prefix, layer=layer, direction=direction, source=source, inputs_file=inputs_file,
    )  # fmt: skip
    training = {"after_steps": after_steps, "clip": clip, "learning_rate": learning_rate}
    group |= {key: value for key, value in training.items() if value is not None}
    if task or after_steps:
        group["tasks"] = list(options.names(task or "adding"))
    figures = pictures.read_drawings(drawings or [])
    data = {
        "schema": SCHEMA,
        "name": COMMAND_LINE_SUITE,
        "measure": {"timeout_s": timeout},
        "cases": [],
        "stability": _parts(group, options.options_by_name(option)),
    }
    with flags_named("stability", gates="stability"):
        suite = suite_from_data(data, as_toml(own_files.without_paths(data)), COMMAND_LINE, Path())
        narrowing = Narrowing(options=options.options_by_name(option))
        request = execute.Request(suite, narrowing, plugins=tuple(plugin or []))
        catalogue = discover(request.all_plugins())
        plan = execute.make_plan(request, catalogue)
    _check_asked_for(narrowing.options, plan.stability)
    pictures.check_drawings(figures, plan.stability)
    broken = say_broken_plugins(catalogue, plugin or [])
    outcome = execute.start(request, options.store_path(store), plan, for_terminal())
    results = print_stability(outcome.folder, as_json)
    pictures.draw_all(results.stability, figures)
    sys.exit(asked_stability_exit_code(results.stability, outcome.interrupted) or (3 if broken else 0))


def _parts(group: dict[str, Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the suite's parts: one, or, where a gate that is named has options, one per gate."""
    if not given.keys() & {*group["gates"]}:
        return [group]
    return [{**group, "gates": [name], "options": given.get(name, {})} for name in group["gates"]]


def _check_asked_for(given: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> None:
    """Raise UserError for an option of what is not measured."""
    gates = dict.fromkeys(request["gate"] for request in requests)
    for name in given:
        if name not in gates:
            raise UserError("-o", f"{name} is not asked for", f"accepted: options of {', '.join(gates)}", f"ask for {name}, or drop its options")  # fmt: skip
