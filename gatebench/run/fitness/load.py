"""Other load and steal: what the kernel counted since boot, and over half a second in which this process sleeps."""

from dataclasses import dataclass

from gatebench.run.fitness.machine import Finding, Machine, fine, hurts, unknown

STEAL_SINCE_BOOT = 0.001  # share of the machine's time; a machine of one's own has exactly none
STEAL_NOW = 0.01  # a tick of 10 ms in half a second on two cores
LOAD_NOW = 0.05  # share of the machine's time; the system itself takes one or two per cent


@dataclass(frozen=True)
class _Ticks:
    """CPU time of the whole machine in the kernel's ticks, since boot."""

    busy: int
    steal: int
    total: int


def _read_ticks(machine: Machine) -> _Ticks | None:
    """Read the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, and guests (in user)."""
    words = (machine.text("proc/stat") or "").partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isascii() and word.isdigit() for word in words[1:9]):
        return None
    user, nice, system, idle, waiting, irq, softirq, steal = map(int, words[1:9])
    busy = user + nice + system + irq + softirq
    return _Ticks(busy, steal, busy + idle + waiting + steal)


def check_load_and_steal(machine: Machine) -> list[Finding]:
    """Return what other processes and the hypervisor take; this process sleeps meanwhile, so that all of it is others'."""
    before = _read_ticks(machine)
    machine.pause()
    after = _read_ticks(machine)
    if before is None or after is None:
        return [unknown(name, "/proc/stat does not tell") for name in ("other load", "steal")]
    span = max(after.total - before.total, 1)
    busy, stolen = (after.busy - before.busy) / span, (after.steal - before.steal) / span
    return [_load(machine, busy), _steal(after.steal / max(after.total, 1), stolen)]


def _load(machine: Machine, busy: float) -> Finding:
    average = (machine.text("proc/loadavg") or "").split(" ")[0]
    found = f"{100 * busy:.0f} % of the machine now" + (f", load average {average}" if average else "")
    if busy < LOAD_NOW:
        return fine("other load", found)
    return hurts(
        "other load", found, "other processes take cores and caches; rounds that they disturb are dropped and taken again",
        "end them, or wait: `top` shows who it is",
    )  # fmt: skip


def _steal(since_boot: float, now: float) -> Finding:
    found = f"{100 * since_boot:.2g} % since boot, {100 * now:.2g} % now"
    if since_boot < STEAL_SINCE_BOOT and now < STEAL_NOW:
        return fine("steal", found)
    return hurts(
        "steal", found, "the hypervisor gives the cores to other machines, and what runs meanwhile takes longer for no reason of its own",
        "dedicated cores; else compare inside one job only (`gatebench ab`), never with stored runs",
    )  # fmt: skip
