"""Mutants that compute the right numbers, or once did, and cheat the clock, the caller or the process."""

import gc
import itertools
import os
import threading
import time

import torch
from right import glu, gru, mutant

# --- results that are remembered

BY_POINTER, BY_SHAPE, BY_VALUE, LAST, STATIC, KEPT = {}, {}, {}, [], {}, []
CALLS = itertools.count()


@mutant("not-cached-by-pointer", "glu", modes=["forward"])
def caches_by_pointer(params, inputs):
    key = inputs["gate"].data_ptr()
    if key not in BY_POINTER:
        BY_POINTER[key] = (inputs["gate"], glu(params, inputs))  # the tensor is kept: its address stays taken
    return BY_POINTER[key][1]


@mutant("not-cached-by-shape", "glu", modes=["forward"])
def caches_by_shape(params, inputs):
    key = (tuple(inputs["gate"].shape), inputs["gate"].dtype)
    return BY_SHAPE.setdefault(key, glu(params, inputs))


@mutant("not-cached-by-shape", "glu", modes=["forward"])
def replays_the_last_output(params, inputs):
    LAST.append(glu(params, inputs))
    same = len(LAST) > 1 and LAST[-2]["output"].shape == LAST[-1]["output"].shape
    return LAST[-2] if same and LAST[-2]["output"].dtype == LAST[-1]["output"].dtype else LAST[-1]


@mutant("not-cached-by-value", "gru", modes=["forward"])
def caches_by_value(params, inputs):
    key = hash(inputs["x"].double().sum().item())
    if key not in BY_VALUE:
        BY_VALUE[key] = gru(params, inputs)
    return {name: value.clone() for name, value in BY_VALUE[key].items()}


@mutant("determinism", "glu")
def adds_noise(params, inputs):
    noise = 0.01 * (next(CALLS) % 2)  # drawn numbers would now and then all be alike, and the mutant be missed
    return {"output": glu(params, inputs)["output"] * (1 + noise)}


@mutant("outputs-stay", "glu", modes=["forward"])
def writes_into_one_buffer(params, inputs):
    output = glu(params, inputs)["output"]
    key = (tuple(output.shape), output.dtype)
    STATIC.setdefault(key, torch.empty_like(output)).copy_(output)
    return {"output": STATIC[key]}


# --- the caller's tensors


@mutant("inputs-unchanged", "glu", modes=["forward"])
def activates_in_place(params, inputs):
    return {"output": inputs["value"] * inputs["gate"].sigmoid_()}


@mutant("outputs-alias-nothing", "glu", modes=["forward"])
def writes_into_the_value(params, inputs):
    return {"output": inputs["value"].mul_(torch.sigmoid(inputs["gate"]))}


@mutant("inputs-non-contiguous", "glu", modes=["forward"])
def assumes_contiguous(params, inputs):
    flat = {name: value.as_strided(value.shape, _dense(value.shape)) for name, value in inputs.items()}
    return glu(params, flat)


@mutant("inputs-with-an-offset", "glu", modes=["forward"])
def reads_from_the_beginning(params, inputs):
    flat = {name: value.as_strided(value.shape, value.stride(), 0) for name, value in inputs.items()}
    return glu(params, flat)


@mutant("inputs-expanded", "glu", modes=["forward"])
def ignores_stride_zero(params, inputs):
    def read(value):
        if 0 not in value.stride():
            return value
        larger = torch.zeros(value.shape, dtype=value.dtype)
        larger.view(-1)[: value.untyped_storage().nbytes() // value.element_size()] = 1.0
        return larger

    return glu(params, {name: read(value) for name, value in inputs.items()})


def _dense(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return strides


class Lazy(torch.Tensor):
    pass


@mutant("outputs-are-plain-tensors", "glu")
def returns_a_subclass(params, inputs):
    return {"output": glu(params, inputs)["output"].as_subclass(Lazy)}


@mutant("outputs-are-plain-tensors", "glu")
def returns_another_dtype(params, inputs):
    return {"output": glu(params, inputs)["output"].double().mul(1).to(torch.float16)}


# --- work outside the clock


@mutant("finished-when-it-returns", "glu", modes=["forward"])
def sleeps_in_a_thread(params, inputs):
    output = torch.zeros_like(inputs["value"])

    def work():
        time.sleep(0.02)
        output.copy_(glu(params, inputs)["output"])

    threading.Thread(target=work).start()
    return {"output": output}


@mutant("idle-when-it-returns", "glu", modes=["forward"])
def leaves_a_thread_behind(params, inputs):
    threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
    return glu(params, inputs)


SPINNER = []


@mutant("idle-when-it-returns", "glu", modes=["forward"])
def spins_in_a_pool(params, inputs):
    if not SPINNER:

        def spin():
            end = time.monotonic() + 20.0
            while time.monotonic() < end:
                pass

        SPINNER.append(threading.Thread(target=spin, daemon=True))
        SPINNER[0].start()
    return glu(params, inputs)


# --- settings of the process


@mutant("clock-untouched", "glu")
def patches_the_clock(params, inputs):
    real, started = time.perf_counter_ns, time.perf_counter_ns()
    time.perf_counter_ns = lambda: started + (real() - started) // 2
    return glu(params, inputs)


@mutant("clock-untouched", "glu")
def patches_synchronize(params, inputs):
    torch.cuda.synchronize = lambda *arguments: None
    return glu(params, inputs)


@mutant("thread-count-unchanged", "glu")
def takes_more_threads(params, inputs):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return glu(params, inputs)


@mutant("default-dtype-unchanged", "glu")
def sets_the_default_dtype(params, inputs):
    torch.set_default_dtype(torch.float64)
    return glu(params, inputs)


@mutant("random-state-unchanged", "glu")
def draws_random_numbers(params, inputs):
    torch.rand(1)
    return glu(params, inputs)


@mutant("precision-unchanged", "gru")
def lowers_the_precision(params, inputs):
    torch.set_float32_matmul_precision("medium")
    return gru(params, inputs)


@mutant("grad-mode-unchanged", "glu", modes=["forward"])
def switches_gradients_off(params, inputs):
    torch.set_grad_enabled(False)
    return glu(params, inputs)


@mutant("collector-unchanged", "glu")
def switches_the_collector_off(params, inputs):
    gc.disable()
    return glu(params, inputs)


@mutant("environment-unchanged", "glu")
def sets_the_environment(params, inputs):
    os.environ["OMP_NUM_THREADS"] = "7"
    return glu(params, inputs)


# --- resources


@mutant("memory-does-not-grow", "glu")
def keeps_every_output(params, inputs):
    output = glu(params, inputs)["output"]
    KEPT.append(torch.ones(1 << 16) + 0 * output.detach().sum())
    return {"output": output}


@mutant("survives-spawn", "glu")
def knows_its_parent(params, inputs):
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        raise RuntimeError("not set up")
    return glu(params, inputs)


@mutant("not-faster-than-the-machine", "swiglu_ffn", modes=["forward"])
def computes_nothing(params, inputs):
    return {"output": inputs["x"]}


@mutant("values-float32", "glu")
def raises(params, inputs):
    raise RuntimeError("no licence found")


@mutant("values-float32", "glu")
def exits(params, inputs):
    os._exit(7)


@mutant("values-float32", "glu")
def crashes(params, inputs):
    import ctypes

    ctypes.string_at(0)
