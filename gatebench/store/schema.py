"""One table of columns: name, type, unit and meaning of everything a run folder holds.

Null, never 0, where something was not measured. Options and detail are JSON text.
"""

import functools
from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 1
VERSION_KEY = b"gatebench_schema_version"

# Status of a measurement or stability row; all but "ok" come with a reason.
STATUSES = ("ok", "wrong", "unsupported", "unavailable", "failed", "timeout", "out_of_memory")
REFUSALS = ("unsupported", "unavailable")
FAILURES = ("wrong", "failed", "timeout", "out_of_memory")


@dataclass(frozen=True)
class Column:
    """One column: type is text, int, float or bool; unit is empty where there is none."""

    name: str
    type: str
    unit: str
    doc: str


_ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def _columns(text: str) -> tuple[Column, ...]:
    rows = (line.split("|") for line in text.strip().splitlines())
    return tuple(Column(*(cell.strip() for cell in row)) for row in rows)


TABLES: dict[str, tuple[Column, ...]] = {
    "measurements": _columns(
        """
        run_id | text | | the run
        case_id | text | | the case: gate/implementation/shape/dtype/device/mode and what differs from the defaults
        problem_id | text | | the case without its implementation
        side | text | | run; base or head in an A/B
        gate | text | | name of the gate
        family | text | | family of the gate
        gate_options | text | | JSON: options that differ from the default
        implementation | text | | name of the implementation
        implementation_options | text | | JSON: options that differ from the default
        mode | text | | forward, backward, forward_backward
        dtype | text | | float32, bfloat16, float64
        device | text | | cpu, cuda
        device_name | text | | the processor's own name
        threads | int | | CPU threads asked for
        observed_threads | int | | CPU threads read back after the case
        batch | int | | B
        seq_len | int | | T
        input_size | int | | I
        hidden_size | int | | H
        cache | text | | hot, cold
        launch | text | | eager, graph
        seed | int | | seed of inputs and weights
        harness | text | | worker, pytest, inline, imported
        status | text | | ok, wrong, unsupported, unavailable, failed, timeout, out_of_memory
        reason | text | | why the status is not ok
        blocks | int | | blocks with at least one kept sample
        samples | int | | kept samples
        loops | int | | calls per sample
        time_ns | float | ns | time of one call: mean over blocks of the block median of log time, back-transformed
        ci_low_ns | float | ns | lower end of its 95 % interval, Student's t over blocks
        ci_high_ns | float | ns | upper end
        min_ns | float | ns | fastest kept sample
        unsteady | bool | | the warm-up never settled, or other processes disturbed over a fifth of the rounds
        import_ns | float | ns | starting the worker: importing the libraries and the implementation
        prepare_ns | float | ns | building what the implementation builds once
        first_call_ns | float | ns | the first call, compilation included
        compile_cold_ns | float | ns | first call that found compile caches empty
        compile_warm_ns | float | ns | first call that found compile caches filled
        graphs | int | | compiled graphs
        graph_breaks | int | | graph breaks
        recompiles | int | | graphs compiled again for new shapes or values
        busy_ns | float | ns | sum of the CUDA kernel times of one profiled call
        flops | int | | model FLOPs of one call, by the gate's cost model
        bytes_min | int | bytes | bytes that one call must move, by the gate's cost model
        peak_bytes | int | bytes | largest sum of live torch allocations above the inputs in one call
        saved_bytes | int | bytes | tensors kept for the backward, storage counted once, inputs and parameters left out
        rss_peak_bytes | int | bytes | largest resident size of the worker; noisy, never judged
        error_ratio | float | | largest error ratio over all tensors
        kernel | text | | what really ran
        detail | text | | JSON: what else is worth keeping
        """
    ),
    "samples": _columns(
        """
        run_id | text | | the run
        case_id | text | | the case
        side | text | | run, base, head
        stage | text | | run, screen, confirm, calibrate, control
        quantity | text | | time, import, prepare, first_call, compile_cold, compile_warm
        block | int | | block of fresh worker processes
        round | int | | round within the block
        position | int | | place in the round's random order
        process | int | | number of the worker process within the run
        loops | int | | calls in this sample
        wall_ns | float | ns | wall time of one call (sum over the loops / loops)
        cpu_ns | float | ns | CPU time of one call, all threads of the process
        event_ns | float | ns | CUDA event time of one call
        context_switches | int | | context switches of the process during the sample
        page_faults | int | | page faults of the process during the sample
        steal_ratio | float | | share of the machine's CPU time that the hypervisor gave to others
        foreign_ratio | float | | share of it that other processes had; right within a tick of 10 ms per core over a round
        dropped | bool | | left out of every estimate
        reason | text | | why it was dropped
        """
    ),
    "accuracy": _columns(
        """
        run_id | text | | the run
        case_id | text | | the case
        side | text | | run, base, head
        tensor | text | | output, output@first, output@last, h, grad:x, grad:weight_hh/f, ...
        dtype | text | | dtype that the implementation returned
        max_abs_error | float | | largest absolute error against the float64 reference
        relative_error | float | | largest absolute error / largest absolute reference value
        error_ratio | float | | largest absolute error / max(eager's, unit round-off x largest reference value)
        limit_ratio | float | | error_ratio above which the tensor is wrong
        passed | bool | | within both limits, right shape and dtype
        """
    ),
    "stability": _columns(
        """
        run_id | text | | the run
        gate | text | | name of the gate
        options | text | | JSON: options that differ from the default
        init | text | | initialisation; of one's own weights file:<sha256>, and after # prefix, layer and direction
        inputs | text | | kind of inputs; of one's own file:<sha256>
        dtype | text | | dtype of the chain
        seq_len | int | | T
        input_size | int | | I
        hidden_size | int | | H
        batch | int | | B
        seed | int | | seed
        probe | text | | the cotangent at the last step
        task | text | | training task; null: untrained
        train_step | int | | training steps taken
        part | text | | part of the state, or gate letter
        metric | text | | name of the metric
        lag | int | steps | steps back from the end
        index | int | | batch row, layer or rank
        value | float | | the value, in `unit`
        standard_error | float | | its standard error
        label | text | | value of a metric that is a word
        unit | text | | unit of the value
        status | text | | ok, unsupported, failed, timeout, out_of_memory
        reason | text | | why the status is not ok
        """
    ),
    "verdicts": _columns(
        """
        run_id | text | | the run
        case_id | text | | the case
        quantity | text | | time, compile, peak_bytes, saved_bytes, error_ratio, coverage
        verdict | text | | faster, slower, same, inconclusive, new, gone, wrong, failed
        stage | text | | screen, confirm
        change | float | | head / base - 1
        ci_low | float | | lower end of its interval
        ci_high | float | | upper end
        p_value | float | | of the sign-flip test
        alpha | float | | level it was tested at
        margin | float | | change that counts as same
        minimum_detectable_effect | float | | smallest change this data could have shown
        blocks | int | | pairs of blocks
        reason | text | | why it is inconclusive, wrong or failed
        """
    ),
}

# Tables that every run folder holds; verdicts come with A/B runs only.
RUN_TABLES = ("measurements", "samples", "accuracy", "stability")


@functools.cache
def arrow_schema(table: str) -> pa.Schema:
    """Return a table's Arrow schema, the schema version in its metadata."""
    fields = [pa.field(column.name, _ARROW[column.type]) for column in TABLES[table]]
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()})
