"""`gatebench verify`: are the results right? No timing, no run folder."""

import sys
from typing import Annotated

import typer

from gatebench.cli import options

# What `verify` takes where flags do not say: all there is, small, with an odd width and an even one.
SMALL = {
    "gates": "*", "modes": "forward,forward_backward", "batch": "3", "seq_len": "7", "hidden_size": "13,16",
}  # fmt: skip


def command(
    suite: Annotated[
        str | None,
        typer.Argument(
            help="A suite file or shipped name. Without one, flags choose, at small odd sizes; without flags, `catalogue`."
        ),
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
    as_json: options.Json = False,
) -> None:
    """Compare outputs and every gradient with the float64 reference and print the largest errors.

    Exit codes: 0 all right, 2 bad usage, 3 something is wrong or failed, or an implementation named with -i, or a
    plugin, cannot run, 130 interrupted (what was verified is printed).
    """
    from gatebench.cli.request import build_request, flags_named, say_broken_plugins
    from gatebench.report.exit_code import verify_exit_code
    from gatebench.report.listings import print_verified
    from gatebench.run.discover import discover
    from gatebench.run.execute import make_plan
    from gatebench.run.progress import for_terminal
    from gatebench.run.verifier import verify_plan

    given = {
        "gates": gate, "implementations": implementation, "modes": mode, "dtypes": dtype, "batch": batch,
        "seq_len": seq_len, "hidden_size": hidden_size, "input_size": input_size, "glob": glob, "device": device,
        "threads": threads, "options": options.options_by_name(option),
    }  # fmt: skip
    if suite is None and not any(given.values()):
        suite = "catalogue"
    flags = given if suite else {**given, **{key: given[key] or value for key, value in SMALL.items()}}
    with flags_named():
        request = build_request(suite, flags, {}, plugin or [])
        catalogue = discover(request.all_plugins())
        plan = make_plan(request, catalogue)
    broken = say_broken_plugins(catalogue, plugin or [])
    measurements, interrupted = verify_plan(plan, for_terminal())
    print_verified(measurements, as_json)
    if interrupted:
        print(f"verify: interrupted after {len(measurements)} of {len(plan.cases)} cases", file=sys.stderr)
    code = verify_exit_code(measurements, options.names(gate), options.names(implementation), interrupted)
    sys.exit(code or (3 if broken else 0))
