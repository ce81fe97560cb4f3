"""The callables as implementations of a gate: a plugin of GateBench."""

import os

import torch
from speed.work import ALL, KINDS, call_of

import gatebench
from gatebench import gates
from gatebench.gates import Cost
from gatebench.options import Option

_ON_HEAD = os.environ.get("GATEBENCH_SIDE") == "head"


@gatebench.gate(
    "prove:work",
    family="own",
    equation="y = x",
    source="not given",
    options={
        "work": Option("none", str, ("none", *ALL), "which callable runs beside the copy"),
        "planted": Option(0.0, float, (0.0, 0.1), "share of more work on the head's side"),
    },
)
class Work(gates.Gate):
    """Copies its input: x (B, T, H) -> output (B, T, H). What takes time is the callable."""

    def input_shapes(self, shape):
        return {"x": (shape.batch, shape.seq_len, shape.hidden_size)}

    def parameters(self, shape):
        return {}

    def forward(self, params, inputs):
        return {"output": inputs["x"].clone()}

    def cost(self, shape, mode, dtype):
        return Cost(0, transcendental=0, bytes_min=2 * gates.DTYPE_BYTES[dtype] * shape.batch * shape.seq_len * shape.hidden_size)  # fmt: skip


def prepare(gate, case, params):
    torch.set_num_threads(case.threads)
    if gate["work"] == "none":
        raise gatebench.Unsupported("names no callable: give the option work")
    call = call_of(gate["work"], gate["planted"] if _ON_HEAD and gate["planted"] else None)

    def forward(leaves, inputs):
        call()
        return gate.forward(leaves, inputs)

    return gatebench.Prepared(forward, params)


for kind in KINDS:
    gatebench.prepared_implementation(
        f"prove:{kind}", gates=["prove:work"], devices=["cpu"], dtypes=["float32"], modes=["forward"]
    )(prepare)
