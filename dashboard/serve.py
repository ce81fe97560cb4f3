"""Start the pages' server: `python dashboard/serve.py`, then what `streamlit run` takes after the script.

The same as `streamlit run dashboard/app.py`, but the first page's modules are imported, and the store is opened, while the browser
still loads.
"""

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from streamlit.web import cli

HERE = Path(__file__).resolve().parent


def _begin_ahead(arguments: list[str]) -> None:
    with suppress(Exception):  # the page fails the same way, and that is told
        overview, loading = (import_module(f"dashboard.{name}") for name in ("views.overview", "loading"))
        if (store := loading.open_ahead(loading.store_path(arguments))) is not None:
            overview.read_ahead(store)


def main() -> None:
    """Run the server until it is ended, and end at once then.

    An interpreter that ends in order fills the terminal with what DuckDB's binding leaks.
    """
    sys.path.insert(0, str(HERE.parent))
    of_script = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    threading.Thread(target=_begin_ahead, args=(of_script,), daemon=True).start()
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
