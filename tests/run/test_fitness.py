"""What hurts measuring: every check against a made-up /proc and /sys, and against nonsense in them."""

import re
from pathlib import Path

import pytest

from gatebench.report.fitness import fitness_block
from gatebench.run.fitness import Machine, examine

CPU = "sys/devices/system/cpu"
# A machine of one's own with everything as it should be.
QUIET = {
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n", f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/intel_pstate/no_turbo": "1\n", f"{CPU}/smt/active": "0\n", f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0\n",
    "sys/class/thermal/thermal_zone0/temp": "45000\n", "sys/bus/event_source/devices/cpu/type": "4\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n", "sys/fs/cgroup/cpu.max": "max 100000\n",
    "proc/sys/kernel/perf_event_paranoid": "2\n", "proc/sys/kernel/randomize_va_space": "2\n",
    "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-3,8\n", "proc/self/cgroup": "0::/user.slice/one.scope\n",
    "proc/meminfo": "MemTotal: 100 kB\nSwapTotal: 4194304 kB\nSwapFree: 4194300 kB\n", "proc/loadavg": "0.02 0.1 0.2 1/88 23\n",
    "proc/stat": "cpu  1000 0 500 90000 100 0 0 0 0 0\ncpu0 1 2 3\n",
}  # fmt: skip
LATER = "cpu  1000 0 501 90099 100 0 0 0 0 0\n"  # a second of idling on one core


def machine(root, files, later=LATER, gpu=None):
    """Return a machine whose files are these, and whose /proc/stat reads `later` after the pause."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Machine(root, lambda: (root / "proc/stat").write_text(later), lambda *arguments: gpu)


def found(root, changed, **more):
    """Return the findings on a quiet machine with some files changed, by name; None takes a file away."""
    files = {path: text for path, text in {**QUIET, **changed}.items() if text is not None}
    return {finding.name: finding for finding in examine(machine(root, files, **more))}


def test_a_quiet_machine_of_ones_own_has_nothing_that_hurts(tmp_path):
    findings = found(tmp_path, {})
    assert {finding.state for finding in findings.values()} == {"fine"}
    assert findings["cores"].found == "5"
    assert findings["other load"].found == "1 % of the machine now, load average 0.02"
    assert "nothing that could be looked at hurts" in fitness_block([vars(one) for one in findings.values()]).notes


HURTS = {
    "governor": ({f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"}, "performance, powersave", "cpupower"),
    "turbo": ({f"{CPU}/intel_pstate/no_turbo": "0"}, "on", f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo"),
    "SMT": ({f"{CPU}/smt/active": "1"}, "on", f"echo off | sudo tee /{CPU}/smt/control"),
    "swap": ({"proc/meminfo": "SwapTotal: 4194304 kB\nSwapFree: 4094304 kB"}, "97 MiB in use", "swapoff"),
    "CPU quota": ({"sys/fs/cgroup/cpu.max": "150000 100000"}, "1.5 cores", "--cpuset-cpus"),
    "cores": ({"proc/self/status": "Cpus_allowed_list:\t3"}, "1", "two cores"),
    "transparent huge pages": ({"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"}, "always", "echo madvise"),
    "random addresses (ASLR)": ({"proc/sys/kernel/randomize_va_space": "0"}, "off", "randomize_va_space=2"),
    "temperature": ({f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "7"}, "up to 45 °C, throttled 7 times since boot", "cooling"),
    "hardware counters": ({"proc/sys/kernel/perf_event_paranoid": "4"}, "for root alone (perf_event_paranoid = 4)", "sysctl kernel.perf_event_paranoid=1"),
}  # fmt: skip


@pytest.mark.parametrize("name", HURTS)
def test_what_hurts_is_found_explained_and_answered(tmp_path, name):
    files, value, advice = HURTS[name]
    findings = found(tmp_path, files)
    assert [one.name for one in findings.values() if one.state == "hurts"] == [name] == [*findings][:1]
    assert findings[name].found == value
    assert advice in findings[name].advice
    assert len(findings[name].why) > 20


def test_a_virtual_machine_has_no_counters_and_tells_little(tmp_path):
    told = {path: None for path in QUIET if "cpufreq" in path or "pstate" in path or "thermal" in path}
    findings = found(tmp_path, {**told, "sys/bus/event_source/devices/cpu/type": None})
    assert findings["hardware counters"].found == "none (a virtual machine)"
    assert {name for name, one in findings.items() if one.state == "unknown"} == {"governor", "turbo", "temperature"}
    (note,) = [
        text for text in fitness_block([vars(one) for one in findings.values()]).notes if "cannot be told" in text
    ]
    assert "governor, turbo, temperature (this kernel does not tell" in note


def test_amd_tells_of_its_boost_elsewhere(tmp_path):
    findings = found(tmp_path, {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1"})
    assert findings["turbo"].advice == f"echo 0 | sudo tee /{CPU}/cpufreq/boost"


@pytest.mark.parametrize(
    ("later", "load", "steal"),
    [
        ("cpu  1000 0 509 90091 100 0 0 0 0 0\n", "hurts", "fine"),  # 9 of 100 ticks
        ("cpu  1000 0 500 90099 100 0 0 1 0 0\n", "fine", "hurts"),  # 1 of 100 ticks stolen
        (LATER, "fine", "fine"),
        ("cpu  1000 0 500 90000 100 0 0 0 0 0\n", "fine", "fine"),  # no tick at all in between
    ],
)
def test_load_and_steal_are_seen_over_the_pause(tmp_path, later, load, steal):
    findings = found(tmp_path, {}, later=later)
    assert (findings["other load"].state, findings["steal"].state) == (load, steal)


def test_steal_since_boot_hurts_even_where_there_is_none_now(tmp_path):
    stat = "cpu  1000 0 500 90000 100 0 0 {} 0 0\n"
    findings = found(tmp_path, {"proc/stat": stat.format(200)}, later=stat.format(200).replace("90000", "90100"))
    assert findings["steal"].state == "hurts"
    assert findings["steal"].found == "0.22 % since boot, 0 % now"


def test_shares_are_those_of_all_the_machines_time(tmp_path):
    findings = found(
        tmp_path, {"proc/stat": "cpu  100 0 0 500 200 0 0 200 0 0\n"}, later="cpu  150 0 0 500 225 0 0 225 0 0\n"
    )
    assert findings["other load"].found.startswith("50 % of the machine now")
    assert findings["steal"].found == "20 % since boot, 25 % now"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/user.slice/cpu.max": "50000 100000", "sys/fs/cgroup/cpu.max": "max 100000"}, "0.5 cores"),
        ({"sys/fs/cgroup/user.slice/one.scope/cpu.max": "300000 100000", "sys/fs/cgroup/user.slice/cpu.max": "200000 100000"}, "2 cores"),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, "2.5 cores"),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, "none"),
    ],
)  # fmt: skip
def test_the_tightest_quota_above_this_process_counts(tmp_path, files, quota):
    assert found(tmp_path, files)["CPU quota"].found == quota


def test_a_hot_processor_hurts_before_it_throttles(tmp_path):
    findings = found(tmp_path, {"sys/class/hwmon/hwmon0/temp1_input": "93000"})
    assert (findings["temperature"].state, findings["temperature"].found) == ("hurts", "up to 93 °C")


GPUS = {
    "0, Enabled, 0, 31, 0x0000000000000001": {"GPU 0": "fine"},  # an idle clock is no throttled one
    "0, Disabled, 40, 84, 0x0000000000000044": {"GPU 0 load": "hurts", "GPU 0 clock": "hurts", "GPU 0 persistence": "hurts"},
    "0, Enabled, [N/A], 30, [N/A]": {"GPU 0": "unknown"},
    "0, Enabled, 0, 30, 0x0000000000000000\n1, Enabled, 99, 60, 0x0000000000000000": {"GPU 0": "fine", "GPU 1 load": "hurts"},
    "no devices were found": {},
    "": {},
}  # fmt: skip


@pytest.mark.parametrize("answer", GPUS)
def test_devices_tell_through_the_drivers_tool(tmp_path, answer):
    findings = {name: one for name, one in found(tmp_path, {}, gpu=answer).items() if name.startswith("GPU")}
    assert {name: one.state for name, one in findings.items()} == GPUS[answer]
    if "GPU 0 clock" in findings:
        assert findings["GPU 0 clock"].found == "power cap, hardware thermal slowdown, 84 °C"


def test_an_empty_machine_tells_nothing_and_raises_nothing(tmp_path):
    findings = examine(Machine(tmp_path, lambda: None, lambda *arguments: None))
    assert {one.state for one in findings} == {"unknown", "fine"}  # no quota is what no control group says
    assert [one.name for one in findings if one.state == "fine"] == ["CPU quota"]


@pytest.mark.parametrize(
    "nonsense", ["", "\n", "x", "-", "[", "9" * 400, "a b c d", "cpu x y", "\x00\xff", "0::", "²", "-5", "1 0"]
)
def test_nonsense_in_any_file_raises_nothing(tmp_path, nonsense):
    findings = examine(machine(tmp_path, dict.fromkeys(QUIET, nonsense), later=nonsense))
    assert len(findings) == 12
    assert all(one.state in ("hurts", "fine", "unknown") and one.found for one in findings)


def test_the_real_machine_is_looked_at():
    findings = examine(Machine(pause=lambda: None))
    assert {"governor", "steal", "other load", "cores"} <= {one.name for one in findings}


def test_nothing_but_reading_is_done():
    """The advice has commands; the checks run none but nvidia-smi's query."""
    text = "".join(path.read_text() for path in (Path(__file__).parents[2] / "gatebench/run/fitness").glob("*.py"))
    assert re.findall(r"subprocess\.\w+\(\[(\w+)", text) == ["tool"]
    assert "write_text" not in text
    assert "open(" not in text
