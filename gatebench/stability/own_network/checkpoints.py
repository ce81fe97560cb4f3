"""Named tensors of a file, each read when it is asked for: safetensors, or a torch state dict."""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gatebench.stability.checks import StabilityError

SAFETENSORS, TORCH = (".safetensors",), (".pt", ".pth", ".bin")
FORMATS = f"{', '.join(SAFETENSORS)} (safetensors), {', '.join(TORCH)} (torch state dict)"
SEPARATORS = (".", "/")  # between a module's name and its parameter's: torch and Keras, TensorFlow
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip

Kind = tuple[torch.dtype, tuple[int, ...]]  # a tensor without its numbers


class Checkpoint(Mapping[str, Tensor]):
    """The tensors of a file by name, in the file's dtypes; looking one up reads that one alone."""

    def __init__(self, file: str, kinds: Mapping[str, Kind], read: Callable[[str], Tensor]) -> None:
        self.file = file  # its name, which begins every error
        self._kinds, self._read = kinds, read

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._kinds:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds  # Mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def below(self, prefix: str) -> "Checkpoint":
        """Return the tensors whose names begin with `prefix` and a separator, by their whole names."""
        starts = tuple(prefix + separator for separator in SEPARATORS)
        kinds = {name: kind for name, kind in self._kinds.items() if name.startswith(starts)}
        return Checkpoint(self.file, kinds, self._read)

    def without_numbers(self) -> dict[str, Tensor]:
        """Return the tensors' dtypes and shapes as tensors on the device "meta"; nothing is read."""
        return {
            name: torch.empty(shape, dtype=dtype, device="meta") for name, (dtype, shape) in sorted(self._kinds.items())
        }


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint by its ending; nothing in it is ever executed.

    A torch file holds a state dict, or one state dict under a key of its own ("state_dict", "model", ...) beside other
    things. Raises StabilityError, where = the file's name, for other endings, broken files, files that hold Python
    objects, and several state dicts.
    """
    if path.suffix in SAFETENSORS:
        return _open_safetensors(path)
    if path.suffix in TORCH:
        tensors = _state_dict(path, _load(path))
        kinds = {name: _kind(value) for name, value in tensors.items()}
        return Checkpoint(path.name, kinds, lambda name: _strided(path, name, tensors[name]))
    raise StabilityError(
        path.name, f"ends in {path.suffix or 'nothing'}", f"accepted: {FORMATS}", "save it as safetensors"
    )


# --- safetensors


def _open_safetensors(path: Path) -> Checkpoint:
    """Let safetensors check the file, and read single tensors by the offsets in its header.

    safetensors gives torch tensors from a private map of the whole file, which counts as a worker's memory: a
    checkpoint larger than that could not be opened for the sake of one small module.
    """
    try:
        with safe_open(path, framework="numpy"), path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError) as error:
        what = f"is no whole safetensors file: {error}"
        raise StabilityError(path.name, what, f"accepted: {FORMATS}", "save or copy it again") from None
    header.pop("__metadata__", None)

    def read(name: str) -> Tensor:
        entry = header[name]
        if entry["dtype"] not in _DTYPES:
            raise _no_float(path, name, entry["dtype"])
        begin, end = entry["data_offsets"]
        data = np.fromfile(path, np.uint8, end - begin, offset=8 + size + begin)
        return torch.from_numpy(data).view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])

    kinds = {name: (_DTYPES.get(entry["dtype"], torch.uint8), tuple(entry["shape"])) for name, entry in header.items()}
    return Checkpoint(path.name, kinds, read)


# --- torch


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other versions, before they are refused
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except MemoryError:
        raise
    except Exception as error:  # torch's readers raise anything for bytes that mean nothing to them
        if "Cannot allocate memory" in str(error):
            raise
        if "Weights only load failed" in str(error) and "Unsupported operand" not in str(error):
            raise StabilityError(
                path.name, "holds Python objects, which are not loaded", "accepted: tensors alone",
                "torch.save(model.state_dict(), ...)",
            ) from None  # fmt: skip
        what = f"is no whole torch file ({type(error).__name__})"
        raise StabilityError(path.name, what, f"accepted: {FORMATS}", "save or copy it again") from None


def _state_dict(path: Path, loaded: Any) -> dict[str, Tensor]:
    """Return the one state dict that was loaded: the whole, or what one key holds."""
    places = {"": loaded} if isinstance(loaded, Mapping) else {}
    places |= {str(key): value for key, value in places.get("", {}).items() if isinstance(value, Mapping)}
    found = {key: tensors for key, value in places.items() if _has_weights(tensors := _tensors(value))}
    if not found:
        keys = (
            f"keys {', '.join(map(str, list(loaded)[:12]))}" if isinstance(loaded, Mapping) and loaded else "no tensors"
        )
        what = f"holds a {type(loaded).__name__} with {keys}"
        raise StabilityError(path.name, what, "accepted: a state dict", "torch.save(model.state_dict(), ...)")
    if len(found) > 1:
        keys = ", ".join(repr(key) if key else "the file itself" for key in found)
        step = "save one of them alone, as safetensors or with torch.save"
        raise StabilityError(path.name, f"holds {len(found)} state dicts: {keys}", "accepted: one", step)
    return next(iter(found.values()))


def _tensors(value: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {name: entry for name, entry in value.items() if isinstance(name, str) and isinstance(entry, Tensor)}


def _has_weights(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether tensors may be a state dict: a trainer's counters, single numbers, are none."""
    return any(value.ndim for value in tensors.values())


def _kind(value: Tensor) -> Kind:
    return (value.dtype if value.dtype.is_floating_point else torch.uint8), tuple(value.shape)


def _strided(path: Path, name: str, value: Tensor) -> Tensor:
    if value.is_quantized or value.layout != torch.strided:
        raise _no_float(path, name, str(value.dtype if value.is_quantized else value.layout).removeprefix("torch."))
    return value.detach()


def _no_float(path: Path, name: str, kind: str) -> StabilityError:
    accepted = "accepted: float64, float32, bfloat16, float16"
    return StabilityError(path.name, f"{name} is {kind}", accepted, "save the weights before they are quantised")
