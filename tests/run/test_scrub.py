"""No machine path, user or host name is stored, in error text neither."""

import json
import sysconfig
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from run_helpers import case, plan

from gatebench.contract import Failure
from gatebench.run import scrub as scrubbing
from gatebench.run.execute import Request, make_header
from gatebench.run.publish import publish
from gatebench.run.runner import Runner
from gatebench.run.scrub import scrub, scrub_all
from gatebench.store.journal import Journal
from gatebench.store.read import load
from gatebench.suites import suite_from_text

PURELIB = sysconfig.get_paths()["purelib"]


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine whose user and host have telling names."""
    monkeypatch.setattr(scrubbing.getpass, "getuser", lambda: "ada.lovelace")
    monkeypatch.setattr(scrubbing.socket, "gethostname", lambda: "analytical-engine")
    monkeypatch.setattr(scrubbing.Path, "home", lambda: Path("/srv/people/ada.lovelace"))
    scrubbing._names.cache_clear()
    yield
    scrubbing._names.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'File "{PURELIB}/torch/nn/functional.py", line 3', 'File "site-packages/torch/nn/functional.py", line 3'),
        (f"{sysconfig.get_paths()['stdlib']}/json/decoder.py:1", "python/json/decoder.py:1"),
        (f"{Path.cwd()}/suites/quick.toml", "suites/quick.toml"),
        (f"in {Path.cwd()}", "in ."),
        ("/srv/people/ada.lovelace/kernels/lstm.py", "~/kernels/lstm.py"),
        ("cannot open '/srv/people/ada.lovelace'", "cannot open '~'"),
        ("cannot open /home/grace/notes.txt", "cannot open ~/notes.txt"),
        ("no such folder: /home/grace", "no such folder: ~"),
        ("file:///home/grace/notes.txt", "~/notes.txt"),
        ("[Errno 2] '/data/secret place/weights.bin'", "[Errno 2] 'weights.bin'"),
        ("/data/secret/ is empty", "secret/ is empty"),
        ("ada.lovelace@analytical-engine: refused", "user@host: refused"),
        ("analytical-engines are many", "analytical-engines are many"),
        ("a lone surrogate \ud800", "a lone surrogate ?"),
    ],
)
def test_paths_and_names_become_relative(text, expected):
    assert scrub(text) == expected


@pytest.mark.parametrize("text", [
    "output: error_ratio 3/4 of the limit", "1 / n / m", "https://arxiv.org/abs/1406.1078", "lstm/numba/T128-B16/float32",
    "60 GB/s, and 40 GB/s is possible", "~/kernels/lstm.py", "tokens/s", "a // b", "h / (1 + h)", "suites/quick.toml",
])  # fmt: skip
def test_other_slashes_stay(text):
    assert scrub(text) == text


def test_every_text_of_a_value_is_scrubbed():
    assert scrub_all({"a": ["/data/x/y.py", 3, None], "b": {"c": "/data/x/z.py"}}) == {"a": ["y.py", 3, None], "b": {"c": "z.py"}}  # fmt: skip


def test_names_that_every_second_machine_has_stay(monkeypatch):
    monkeypatch.setattr(scrubbing.getpass, "getuser", lambda: "root")
    monkeypatch.setattr(scrubbing.socket, "gethostname", lambda: "vm")
    scrubbing._names.cache_clear()
    assert scrub("the root of vm, root@vm") == "the root of vm, root@vm"


SECRETS = ("/data/secret", "grace", "ada.lovelace", "analytical-engine", "/srv/people")
LEAK = "cannot open '/data/secret/weights.bin' for /home/grace as ada.lovelace@analytical-engine"


REQUEST = {"gate": "glu", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float64", "batch": 1,
           "seq_len": 4, "hidden_size": 2, "input_size": 2, "seed": 0}  # fmt: skip


def test_no_file_of_a_run_holds_a_path_a_user_or_a_host(tmp_path):
    plugin = tmp_path / "data" / "lab.py"
    plugin.parent.mkdir()
    plugin.write_text(f"# {LEAK}\nFOLDER = '/srv/people/ada.lovelace/kernels'\n")

    def script(worker, verb, args):
        if verb == "prepare" and worker.settings.implementation == "second":
            raise Failure("failed", LEAK, "/data/secret/lab.py:3")
        if verb == "profile":
            return {"kernel": f"lab: {LEAK}", "detail": {"cache": "/data/secret/cache", "deep": [LEAK]}}
        if verb == "stability":
            return {"rows": [{"metric": "class", "status": "failed", "reason": LEAK}]}
        return None

    text = f'schema = "gatebench-suite/1"\nwhy = "{LEAK}"\nplugins = ["{plugin}"]\n'
    wanted = plan(fakes.catalogue("first", "second"), [case("first"), case("second")])
    wanted = replace(wanted, stability=(REQUEST,))
    wanted.catalogue.gates["glu"]["reference"] = f"def forward():\n    # {LEAK}"  # pyright: ignore
    header = make_header(Request(suite_from_text(text, "s.toml", tmp_path)), wanted)
    journal = Journal(tmp_path / "store", "20260101T000000Z-0000")
    Runner(wanted, journal, start=fakes.Lab(script)).run()
    folder = publish(tmp_path / "store", journal, "complete", header)
    results = load(folder)
    parquet = " ".join(
        frame.to_csv() for frame in (results.measurements, results.samples, results.accuracy, results.stability)
    )
    assert "cannot open 'weights.bin' for ~ as user@host" in parquet
    written = parquet + "".join(path.read_text() for path in folder.glob("*.json"))
    for secret in (*SECRETS, str(tmp_path), "/tmp/"):
        assert secret not in written, secret
    assert json.loads((folder / "manifest.json").read_text())["plugins"][0]["file"] == "lab.py"
