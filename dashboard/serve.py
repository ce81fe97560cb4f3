"""Start the pages' server: `python dashboard/serve.py`, then what `streamlit run` takes after the script.

The same as `streamlit run dashboard/app.py`, but the first page's modules are imported while the browser still loads.
"""

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from streamlit.web import cli

HERE = Path(__file__).resolve().parent


def _import_ahead() -> None:
    with suppress(Exception):  # the page fails the same way, and that is told
        import_module("dashboard.views.overview")


def main() -> None:
    """Run the server until it is ended, and end at once then.

    An interpreter that ends in order fills the terminal with what DuckDB's binding leaks.
    """
    sys.path.insert(0, str(HERE.parent))
    threading.Thread(target=_import_ahead, daemon=True).start()
    sys.argv = ["streamlit", "run", str(HERE / "app.py"), *sys.argv[1:]]
    try:
        cli.main(prog_name="streamlit")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
