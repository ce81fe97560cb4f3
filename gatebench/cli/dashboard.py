"""`gatebench dashboard`: open the pages over a store, on this machine only."""

import importlib.util
import subprocess
import sys
from typing import Annotated

import typer

from gatebench.cli import options


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
    where = options.store_path(store)
    print(f"dashboard over {where}: http://{address}:{port}  (Ctrl-C ends it)", flush=True)
    settings = {
        "server.address": address, "server.port": str(port), "server.headless": "true",
        "browser.gatherUsageStats": "false", "server.fileWatcherType": "none", "client.toolbarMode": "minimal",
    }  # fmt: skip
    flags = [part for key, value in settings.items() for part in (f"--{key}", value)]
    app = str(shipped("dashboard") / "app.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", app, *flags, "--", "--store", str(where)], stdout=subprocess.DEVNULL
    )
    try:
        sys.exit(process.wait())
    except KeyboardInterrupt:
        process.wait()
        sys.exit(0)
