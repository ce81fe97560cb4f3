"""What NVIDIA devices suffer from, as the driver's own tool tells: others on them, heat, power, clocks that sleep."""

from gatebench.measure.throttle import throttle_reasons
from gatebench.run.fitness.machine import Finding, Machine, as_number, fine, hurts, unknown

_COLUMNS = ("index", "persistence_mode", "utilization.gpu", "temperature.gpu", "clocks_throttle_reasons.active")
_BUSY_PERCENT = 5


def check_gpus(machine: Machine) -> list[Finding]:
    """Return what hurts on each device; nothing where the driver's tool is not there or does not answer."""
    asked = machine.ask_gpu(f"--query-gpu={','.join(_COLUMNS)}", "--format=csv,noheader,nounits")
    lines = [[cell.strip() for cell in line.split(",")] for line in (asked or "").splitlines() if line.strip()]
    return [finding for cells in lines if len(cells) == len(_COLUMNS) for finding in _device(*cells)]


def _device(index: str, persistence: str, utilisation: str, temperature: str, reasons: str) -> list[Finding]:
    name = f"GPU {index}"
    found = []
    busy = as_number(utilisation)
    if busy is not None and busy >= _BUSY_PERCENT:
        found.append(hurts(f"{name} load", f"{busy} % busy", "other processes run kernels between the case's", "end them: `nvidia-smi` lists them"))  # fmt: skip
    throttled = _throttled(reasons)
    if throttled:
        heat = "" if as_number(temperature) is None else f", {temperature} °C"
        found.append(hurts(f"{name} clock", ", ".join(throttled) + heat, "the device has lowered its clock", "let it cool down; `nvidia-smi -q -d PERFORMANCE` says more"))  # fmt: skip
    if persistence == "Disabled":
        found.append(hurts(f"{name} persistence", "off", "the driver unloads when nobody uses it: the next first call waits for it", "sudo nvidia-smi -pm 1"))  # fmt: skip
    if throttled is None or busy is None:
        return [*found, unknown(name, "the driver does not tell load and clocks of this device (a slice of one, MIG?)")]
    return found or [fine(name, f"idle, {temperature} °C")]


def _throttled(reasons: str) -> list[str] | None:
    """Return why the clock is lowered, from the driver's hexadecimal bits; None where it does not tell."""
    try:
        return throttle_reasons(int(reasons, 16))
    except ValueError:
        return None  # "[N/A]", as for a slice of a device
