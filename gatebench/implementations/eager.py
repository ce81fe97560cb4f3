"""`eager`: the gate's own reference forward, in the case's dtype, op by op."""

from collections.abc import Mapping

from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate


@prepared_implementation("eager", gates=["*"])
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Return gate.forward as it is."""
    return Prepared(gate.forward, params)
