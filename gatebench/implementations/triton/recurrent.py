"""`triton` for LSTM and GRU: per step one of torch's products and one kernel for all the gates, forward and backward."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.recurrent.layers import require_single
from gatebench.implementations.triton.settings import SETTINGS, block_of, describe


@prepared_implementation("triton", gates=["lstm", "gru"], **SETTINGS)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Take the parameters as they are; nothing is kept for a backward where autograd is off."""
    from gatebench.implementations.triton.sequence import BLOCK, Recurrence, run, start

    require_single(gate, "triton")

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weights = (leaves["weight_ih"], leaves["weight_hh"], leaves["bias_ih"], leaves["bias_hh"])
        operands = (*weights, inputs["x"], *(inputs[f"{part}0"] for part in gate.state(case.shape)))
        if torch.is_grad_enabled():
            results = Recurrence.apply(*operands)
        else:
            results = run(start(*operands, keep=False), leaves["weight_hh"], keep=False)
        return dict(zip(("output", "h", "c"), results, strict=False))

    return Prepared(
        forward, params, detail=lambda: describe(case.mode, gate.name, block_of(case.shape.hidden_size, BLOCK))
    )
