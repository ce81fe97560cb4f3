"""CUDA graphs: one captured call per buffer, replayed in place of launching its kernels one by one."""

import torch

from gatebench.contract import Failure
from gatebench.measure import subject as subjects
from gatebench.measure.subject import BUFFERS, Subject

_WARM_CALLS = 3  # before a capture: lazy initialisation of libraries must not be captured


def capture(subject: Subject) -> None:
    """Capture the whole call of the case's mode for each buffer; afterwards `subjects.call` replays.

    Raises Failure("unsupported") for mode backward, whose graph of autograd is new for each call, and where the
    implementation does something that a graph cannot hold.
    """
    if subject.case.mode == "backward":
        raise Failure(
            "unsupported", "a backward alone makes a fresh autograd graph for each call, so it cannot be captured"
        )
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for number in range(_WARM_CALLS * BUFFERS):
            subjects.call(subject, number % BUFFERS)
    torch.cuda.current_stream().wait_stream(stream)
    captured = []
    for index in range(BUFFERS):
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                outputs = dict(subjects.call(subject, index))
        except RuntimeError as error:
            raise Failure("unsupported", f"cannot be captured in a CUDA graph: {str(error).splitlines()[0]}") from error
        captured.append((graph, outputs))
    subject.graphs = captured
