"""Controls of an A/B: a plugin whose head does a known share of real work more than its base.

Every job measures them beside its cases, by the same workers, rounds and tests. One with extra = 0 must come out as
not different, one with extra = 0.03 as slower; otherwise the machine, or the job, is unfit to judge anything.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import gatebench
from gatebench.options import Option

if TYPE_CHECKING:
    from torch import Tensor

    from gatebench.cases import Case
    from gatebench.gates import Gate

NAME = "gatebench:control"
GATE = "bilinear"  # two tensors multiplied: nothing beside the products below
SIDE = "GATEBENCH_SIDE"  # environment variable of each side's workers: base or head
FILE = Path(__file__)
PRODUCTS = 200  # of the base: 1 is half a percent
_WIDTH = 64  # 0.5 MFLOP a product, in the first-level cache: a call takes about 2 ms on one core
_EXTRA = Option(0.0, float, (0.0, 0.5), "share of products that the head makes beyond the base's")


@gatebench.prepared_implementation(
    NAME, gates=[GATE], devices=["cpu"], dtypes=["float32"], modes=["forward"], options={"extra": _EXTRA}
)
def prepare(gate: "Gate", case: "Case", params: "Mapping[str, Tensor]") -> gatebench.Prepared:
    """Return the gate's forward after PRODUCTS matrix products, and on the head round(extra · PRODUCTS) more."""
    import torch  # here: the job reads this file's names, and loads no torch

    extra = float(dict(case.implementation_options).get("extra", 0.0)) if os.environ.get(SIDE) == "head" else 0.0
    count = PRODUCTS + round(extra * PRODUCTS)
    left, right = torch.eye(_WIDTH), torch.eye(_WIDTH)
    product = torch.empty(_WIDTH, _WIDTH)

    def forward(leaves: "Mapping[str, Tensor]", inputs: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
        for _ in range(count):
            torch.mm(left, right, out=product)
        return gate.forward(leaves, inputs)

    return gatebench.Prepared(forward, params)
