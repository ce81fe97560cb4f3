"""The worker process: answers requests about cases, one at a time. Knows no suite and no results folder.

Started as `python -m gatebench.run.worker <settings as JSON>`; settings: implementation, plugins, threads,
memory_bytes, and the descriptors of the request pipe, the answer pipe and the runner's sign of life.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from gatebench.contract import Failure
from gatebench.run import protocol
from gatebench.run.warden import fork_under_warden

_STARTED_NS = time.perf_counter_ns()


def main() -> None:
    """Fork under a warden, limit memory, greet, and answer until `stop` or end of file."""
    settings = json.loads(sys.argv[1])
    fork_under_warden(settings["alive"], settings["memory_bytes"])
    _limit_memory(settings["memory_bytes"], settings["device"])
    requests = os.fdopen(settings["requests"], "rb")
    answers = os.fdopen(settings["answers"], "wb", buffering=0)
    from gatebench.measure.service import Service  # imports torch: after the limits

    try:
        service = Service(settings["implementation"], settings["plugins"], settings["threads"])
        greeting = service.greeting()
    except BaseException as error:  # whatever a plugin raises while it is imported becomes a reason
        failure = _failure(error)
        greeting = {"availability": {"status": "unavailable", "reason": failure.reason, "where": failure.where}}
        _send(answers, _hello(settings, greeting))
        return
    _send(answers, _hello(settings, greeting))
    for line in requests:
        request = protocol.decode(line)
        if request["verb"] == "stop":
            _send(answers, {"id": request["id"], "ok": {}})
            return
        _send(answers, {"id": request["id"], **_answer(service.verbs(), request)})


def _hello(settings: dict[str, Any], greeting: dict[str, Any]) -> dict[str, Any]:
    common = {"protocol": protocol.PROTOCOL, "pid": os.getpid(), "implementation": settings["implementation"]}
    return {**common, "import_ns": time.perf_counter_ns() - _STARTED_NS, **greeting}


def _send(answers: Any, message: dict[str, Any]) -> None:
    line = memoryview(protocol.encode(message))
    while line:
        line = line[answers.write(line) :]


def _answer(verbs: dict[str, Callable[..., dict[str, Any]]], request: dict[str, Any]) -> dict[str, Any]:
    if request["verb"] not in verbs:
        return {"error": {"status": "failed", "reason": f"unknown verb {request['verb']!r}", "where": "worker"}}
    try:
        return {"ok": verbs[request["verb"]](**request.get("args", {}))}
    except (Exception, SystemExit) as error:
        failure = _failure(error)
        return {"error": {"status": failure.status, "reason": failure.reason, "where": failure.where}}


def _failure(error: BaseException) -> Failure:
    from gatebench.measure.failures import classify

    return classify(error)


def _limit_memory(memory_bytes: int, device: str) -> None:
    import resource

    if device == "cpu":  # CUDA maps far more than it uses: there the warden alone watches
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
