"""Plugin files of implementations that misbehave and then do it right, and what a run of them says."""

import textwrap

from run_helpers import (
    by_implementation,
    case,
    plan,
    run,
    with_names,
)

HEAD = """
import ctypes, mmap, os, subprocess, sys, threading, time
import torch
import gatebench

def pipes():
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.readlink(f"/proc/self/fd/{name}").startswith("pipe:"): yield int(name)
        except OSError: pass

def write(data, times=1):
    for pipe in list(pipes()):
        try:
            for _ in range(times): os.write(pipe, data)
        except OSError: pass  # the reading end

def right(inputs):
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"])}
"""


def plugin(folder, **bodies):
    """Write one plugin file; each body is the first lines of an implementation `bad:<name>` that then does it right."""
    text = HEAD
    for name, body in bodies.items():
        text += f'\n@gatebench.implementation("bad:{name}", gates=["glu"])\ndef {name}(params, inputs):\n'
        text += textwrap.indent(textwrap.dedent(body).strip() + "\nreturn right(inputs)\n", "    ")
    path = folder / "misbehaving.py"
    path.write_text(text)
    return path


def outcomes(catalogue, folder, bodies, **measure):
    """Run the bodies beside `eager` and return (status, reason) by short name; eager must come out ok."""
    path = plugin(folder, **bodies)
    names = [f"bad:{name}" for name in bodies]
    wanted = plan(with_names(catalogue, path, names), [case("eager"), *map(case, names)], **measure)
    found = by_implementation(run(folder / "store", wanted))
    assert found.pop("eager") == ("ok", "")
    return {name.removeprefix("bad:"): value for name, value in found.items()}
