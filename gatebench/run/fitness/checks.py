"""The checks: each reads one thing of a machine and says whether it hurts measuring, why, and what to do."""

import re
from collections.abc import Callable

from gatebench.run.fitness.gpu import check_gpus
from gatebench.run.fitness.load import check_load_and_steal
from gatebench.run.fitness.machine import Finding, Machine, as_number, fine, hurts, unknown

_CPU = "sys/devices/system/cpu"
_HUGE_PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
_NOT_TOLD = "this kernel does not tell, as in most virtual machines"
_HOT_C = 90  # from here on processors lower their clock
_SWAPPED_KIB = 16 * 1024  # less is what was swapped out once and never missed
_NO_PERF_FROM = 3  # kernel.perf_event_paranoid from which nobody but root may count


def examine(machine: Machine | None = None) -> list[Finding]:
    """Return all findings, what hurts first; about half a second, in which other load is watched. Never raises."""
    machine = machine or Machine()
    found = [finding for check in _CHECKS for finding in _as_list(check(machine))]
    order = ("hurts", "fine", "unknown")
    return sorted(found, key=lambda finding: order.index(finding.state))


def _as_list(found: Finding | list[Finding]) -> list[Finding]:
    return found if isinstance(found, list) else [found]


def check_governor(machine: Machine) -> Finding:
    """The clock should not wait for load before it rises."""
    files = machine.matching(f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor")
    names = sorted({text for path in files if (text := machine.text(path))})
    if not names:
        return unknown("governor", _NOT_TOLD)
    if names == ["performance"]:
        return fine("governor", "performance")
    return hurts(
        "governor", ", ".join(names), "the clock follows the load, so that calls after a pause are slower",
        "sudo cpupower frequency-set -g performance",
    )  # fmt: skip


def check_boost(machine: Machine) -> Finding:
    """A boosted clock depends on temperature and on how many cores are busy."""
    for path, on, off in ((f"{_CPU}/intel_pstate/no_turbo", "0", "1"), (f"{_CPU}/cpufreq/boost", "1", "0")):
        value = machine.text(path)
        if value == off:
            return fine("turbo", "off")
        if value == on:
            return hurts(
                "turbo", "on", "the clock depends on temperature and on how many cores are busy",
                f"echo {off} | sudo tee /{path}",
            )  # fmt: skip
    return unknown("turbo", _NOT_TOLD)


def check_smt(machine: Machine) -> Finding:
    """Two threads of one core share its units and caches."""
    active = machine.text(f"{_CPU}/smt/active")
    if active == "0":
        return fine("SMT", "off")
    if active != "1":
        return unknown("SMT", _NOT_TOLD)
    return hurts(
        "SMT", "on", "what runs on the other thread of a core takes half of its units and caches",
        f"echo off | sudo tee /{_CPU}/smt/control",
    )  # fmt: skip


def check_counters(machine: Machine) -> Finding:
    """Hardware counters tell why a time changed; GateBench itself needs none."""
    units = [path for pattern in ("cpu", "cpu_core", "armv*_pmu*") for path in machine.matching(f"sys/bus/event_source/devices/{pattern}")]  # fmt: skip
    level = machine.number("proc/sys/kernel/perf_event_paranoid")
    why = "instructions and cache misses cannot be counted, so that a changed time cannot be traced to its cause"
    if level is None:
        return unknown("hardware counters", "this kernel has no perf events")
    if not units:
        return hurts("hardware counters", "none (a virtual machine)", why, "measure on a machine of your own, or rely on time alone: no number of GateBench needs counters")  # fmt: skip
    if level >= _NO_PERF_FROM:
        return hurts("hardware counters", f"for root alone (perf_event_paranoid = {level})", why, "sudo sysctl kernel.perf_event_paranoid=1")  # fmt: skip
    return fine("hardware counters", f"there (perf_event_paranoid = {level})")


def check_swap(machine: Machine) -> Finding:
    """Pages that come back from a disk cost milliseconds."""
    memory = machine.fields("proc/meminfo")
    total, free = as_number(memory.get("SwapTotal")), as_number(memory.get("SwapFree"))
    if total is None or free is None:
        return unknown("swap", "/proc/meminfo does not tell")
    if total - free < _SWAPPED_KIB:
        return fine("swap", f"{(total - free) >> 10} MiB in use" if total else "none")
    return hurts(
        "swap", f"{(total - free) >> 10} MiB in use", "a page that comes back from the disk costs milliseconds",
        "end what fills the memory, then sudo swapoff -a && sudo swapon -a",
    )  # fmt: skip


def check_quota(machine: Machine) -> Finding:
    """A quota stops all threads of a container for the rest of a period."""
    quotas = [quota for path in _control_groups(machine) if (quota := _quota(machine, path)) is not None]
    if not quotas:
        return fine("CPU quota", "none")
    return hurts(
        "CPU quota", f"{min(quotas):.3g} cores", "who has used it up is stopped for the rest of a tenth of a second, all threads at once",
        "give the container whole cores in place of a quota, e.g. docker run --cpuset-cpus=0,1",
    )  # fmt: skip


def _control_groups(machine: Machine) -> list[str]:
    """Return the folders of this process's control group and of all above it."""
    lines = [line.split(":", 2) for line in (machine.text("proc/self/cgroup") or "").splitlines()]
    own = next((parts[2] for parts in lines if parts[:2] == ["0", ""] and len(parts) == 3), "/")
    names = [name for name in own.split("/") if name not in ("", "..")]
    return ["/".join(["sys/fs/cgroup", *names[:depth]]) for depth in range(len(names) + 1)] + ["sys/fs/cgroup/cpu"]


def _quota(machine: Machine, group: str) -> float | None:
    """Return how many cores a control group may use; None without a limit (v2: cpu.max, v1: cpu.cfs_quota_us)."""
    words = (machine.text(f"{group}/cpu.max") or "").split()
    if len(words) != 2:
        words = [str(machine.number(f"{group}/cpu.cfs_{name}_us")) for name in ("quota", "period")]
    quota, period = (as_number(word) for word in words)
    return quota / period if quota and period and quota > 0 else None


def check_cores(machine: Machine) -> Finding:
    """One core has no room for anything beside the case."""
    allowed = machine.fields("proc/self/status").get("Cpus_allowed_list", "")
    ranges = [(int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?:-(\d+))?", allowed)]
    count = sum(last - first + 1 for first, last in ranges)
    if count < 1:
        return unknown("cores", "/proc/self/status does not tell")
    if count >= 2:
        return fine("cores", str(count))
    return hurts(
        "cores", "1", "the runner and everything else on this machine interrupt the case that is measured",
        "give the machine or the container two cores or more",
    )  # fmt: skip


def check_huge_pages(machine: Machine) -> Finding:
    """Whether memory comes in huge pages should not depend on what happens to be free."""
    found = re.search(r"\[(\w+)\]", machine.text(_HUGE_PAGES) or "")
    if found is None:
        return unknown("transparent huge pages", "this kernel has none, or does not tell")
    if found[1] != "always":
        return fine("transparent huge pages", found[1])
    return hurts(
        "transparent huge pages", "always", "a process gets them or not by what is free: its times fall into two groups",
        f"echo madvise | sudo tee /{_HUGE_PAGES}",
    )  # fmt: skip


def check_layout(machine: Machine) -> Finding:
    """Random addresses are welcome: blocks of fresh processes average over the luck of a layout."""
    level = machine.number("proc/sys/kernel/randomize_va_space")
    if level is None:
        return unknown("random addresses (ASLR)", "this kernel does not tell")
    if level > 0:
        return fine("random addresses (ASLR)", "on; blocks of fresh processes average over them")
    return hurts(
        "random addresses (ASLR)", "off", "all processes share one memory layout, and its luck is taken for speed",
        "sudo sysctl kernel.randomize_va_space=2",
    )  # fmt: skip


def check_temperature(machine: Machine) -> Finding:
    """A hot processor lowers its clock."""
    counters = machine.matching(f"{_CPU}/cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [count for path in counters if (count := machine.number(path)) is not None]
    sensors = machine.matching("sys/class/thermal/thermal_zone*/temp") + machine.matching("sys/class/hwmon/hwmon*/temp*_input")  # fmt: skip
    degrees = [millis / 1000 for path in sensors if (millis := machine.number(path)) is not None]
    if not counts and not degrees:
        return unknown("temperature", _NOT_TOLD)
    words = [f"up to {max(degrees):.0f} °C"] if degrees else []
    words += [f"throttled {max(counts)} times since boot"] if counts and max(counts) else []
    if max(counts, default=0) == 0 and max(degrees, default=0.0) < _HOT_C:
        return fine("temperature", words[0] if words else "never throttled")
    return hurts(
        "temperature", ", ".join(words), "a hot processor lowers its clock, for minutes at a time",
        "better cooling; a shorter suite, or a pause before it",
    )  # fmt: skip


_CHECKS: tuple[Callable[[Machine], Finding | list[Finding]], ...] = (
    check_load_and_steal, check_cores, check_quota, check_governor, check_boost, check_smt, check_temperature, check_swap,
    check_huge_pages, check_layout, check_counters, check_gpus,
)  # fmt: skip
