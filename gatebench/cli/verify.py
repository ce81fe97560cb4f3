"""`gatebench verify`: are the results right? No timing, no run folder."""

import sys
from typing import Annotated

import typer

from gatebench.cli import options


def command(
    suite: Annotated[
        str | None, typer.Argument(help="A suite file or shipped name; without one, odd small shapes.")
    ] = None,
    gate: options.Gates = "",
    implementation: options.Implementations = "",
    mode: options.Modes = "",
    glob: options.Glob = "",
    dtype: options.Dtypes = "",
    batch: options.Batch = "",
    seq_len: options.SeqLen = "",
    hidden_size: options.HiddenSize = "",
    input_size: options.InputSize = "",
    device: options.Device = "",
    threads: options.Threads = "",
    plugin: options.Plugins = None,
    option: options.ImplementationOptions = None,
    as_json: options.Json = False,
) -> None:
    """Compare outputs and every gradient with the float64 reference and print the largest errors.

    Exit codes: 0 all right, 2 bad usage, 3 something is wrong or failed.
    """
    from gatebench.cli.request import build_request, flags_named
    from gatebench.report.exit_code import exit_code
    from gatebench.report.listings import print_verified
    from gatebench.run.discover import discover
    from gatebench.run.execute import make_plan
    from gatebench.run.progress import for_terminal
    from gatebench.run.verifier import verify_plan

    if suite is None:
        gate = gate or "family:recurrent,family:glu,family:highway"
        batch, seq_len, hidden_size = batch or "1,3", seq_len or "1,13", hidden_size or "1,7"
        mode = mode or "forward,forward_backward"
    flags = {
        "gates": gate, "implementations": implementation, "modes": mode, "dtypes": dtype, "batch": batch,
        "seq_len": seq_len, "hidden_size": hidden_size, "input_size": input_size, "glob": glob, "device": device, "threads": threads,
        "implementation_options": options.implementation_options(option),
    }  # fmt: skip
    with flags_named():
        request = build_request(suite, flags, {}, plugin or [])
        plan = make_plan(request, discover(request.all_plugins()))
    measurements = verify_plan(plan, for_terminal())
    print_verified(measurements, as_json)
    sys.exit(exit_code(measurements, options.names(implementation), interrupted=False))
