"""`gatebench dashboard`: open the pages over a store, on this machine only."""

import errno
import importlib.util
import signal
import socket
import subprocess
import sys
from typing import Annotated

import typer

from gatebench.cli import options

_ENDING_S = 5.0  # for open pages to be closed


def command(
    store: options.Store = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open the dashboard; Ctrl-C ends it."""
    from gatebench.errors import UserError
    from gatebench.shipped import shipped

    if importlib.util.find_spec("streamlit") is None or importlib.util.find_spec("plotly") is None:
        raise UserError(
            "dashboard",
            "streamlit or plotly is not installed",
            "the extra [dashboard] has them",
            "in the checkout: pip install '.[dashboard]'",
        )
    _check_free(address, port)
    where = options.store_path(store)
    print(f"dashboard over {where}: http://{address}:{port}  (Ctrl-C ends it)", flush=True)
    settings = {
        "server.address": address, "server.port": str(port), "server.headless": "true",
        "browser.gatherUsageStats": "false", "server.fileWatcherType": "none", "client.toolbarMode": "minimal",
        "logger.level": "warning",
    }  # fmt: skip
    flags = [part for key, value in settings.items() for part in (f"--{key}", value)]
    server = str(shipped("dashboard") / "serve.py")
    # -P: a file in the working folder that is called as a module is (random.py) must not be taken for it.
    process = subprocess.Popen(
        [sys.executable, "-P", server, *flags, "--", "--store", str(where)],
        stdout=subprocess.DEVNULL,
    )
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends the pages, too, unless under nohup
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        sys.exit(process.wait())
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.wait(timeout=_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        sys.exit(0)


def _check_free(address: str, port: int) -> None:
    """Raise UserError where the pages cannot listen: streamlit would say it in a traceback, or after the address."""
    from gatebench.errors import UserError

    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError("--port", f"{port} is in use", "a free port", f"--port {port % 65535 + 1}") from error
        text = error.strerror or "no such address"
        raise UserError("--address", f"{address}: {text}", "an address of this machine", "e.g. 127.0.0.1") from error
