"""`cudnn`: torch's recurrent modules on CUDA with cuDNN on, attested by the names of the kernels that ran."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, Unavailable, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.torch_modules import MODULES, prepare_module


def available(device: str) -> None:
    """Raise Unavailable unless torch can reach cuDNN."""
    if not torch.cuda.is_available():
        raise Unavailable("no CUDA device")
    if not torch.backends.cudnn.is_available():
        raise Unavailable("this torch was built without cuDNN")


@prepared_implementation(
    "cudnn", gates=list(MODULES), devices=["cuda"], dtypes=["float32", "bfloat16", "float64"],
    available=available, attest="cudnn",
)  # fmt: skip
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use torch.nn.RNN, LSTM or GRU with cuDNN on and TF32 off: float32 means float32."""
    return prepare_module(gate, case, params, lambda: torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
