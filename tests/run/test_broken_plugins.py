"""Plugins that cannot even be imported: unavailable with their reason, at the cost of their own rows only."""

import pytest
from misbehaving_helpers import HEAD
from run_helpers import (
    by_implementation,
    case,
    plan,
    run,
)

from gatebench.errors import UserError
from gatebench.run.discover import discover

DECORATED = "@gatebench.implementation({name!r}, gates=['glu'])\ndef forward(params, inputs): return {{}}\n"
BROKEN = {
    "raises": ("import gatebench\nraise RuntimeError('no licence found')\n", "RuntimeError: no licence found"),
    "syntax": ("import gatebench\ndef forward(:\n", "SyntaxError"),
    "missing": ("import gatebench\nimport surely_not_installed\n", "No module named 'surely_not_installed'"),
    "exits": ("import gatebench, os\nos._exit(5)\n", "exited with status 5"),
    "leaves": ("import gatebench, sys\nsys.exit(0)\n", "SystemExit: 0"),
    "scribbles": (HEAD + "write(b'{}\\n')\n", "protocol"),
    "contract": ("import gatebench\n@gatebench.implementation('bad:contract', gates=['glu'], contract=99)\ndef forward(params, inputs): return {}\n", "contract 99; accepted: 1"),
    "signature": ("import gatebench\n@gatebench.implementation('bad:signature', gates=['glu'])\ndef forward(x): return {}\n", "takes (x); accepted: forward(params, inputs)"),
    "setting": ("import gatebench\n@gatebench.implementation('bad:setting', gates=['glu'], dtype=['float32'])\ndef forward(params, inputs): return {}\n", "did you mean 'dtypes'?"),
    "twice": ("import gatebench\n" + 2 * DECORATED.format(name="bad:twice"), "serves glu already"),
    "nothing": ("x = 1\n", "registers nothing"),
    "shadow": ("import gatebench\n" + DECORATED.format(name="eager"), "'eager' shadows a built-in"),
}  # fmt: skip
NAMED_BY_FILE = ("nothing", "shadow")  # they give no name of their own


SLOW = ("exits", "leaves", "scribbles", "setting", "nothing")


def names_of(broken):
    return [f"file:{name}.py" if name in NAMED_BY_FILE else f"bad:{name}" for name in broken]


def discovered(folder, broken):
    """Discover broken plugins and one that is fine; names stand in each text, as a reader would find them."""
    files = []
    for name in broken:
        text = BROKEN[name][0]
        names = "" if name in NAMED_BY_FILE or f"bad:{name}" in text else f"\n# implementation('bad:{name}', ...)\n"
        files.append(folder / f"{name}.py")
        files[-1].write_text(text + names)
    good = folder / "good.py"
    good.write_text(HEAD + "@gatebench.implementation('lab:good', gates=['glu'])\ndef forward(params, inputs):\n    return right(inputs)\n")  # fmt: skip
    return discover([*files, good])


def check_refusals(catalogue, broken):
    for name, implementation in zip(broken, names_of(broken), strict=True):
        status, reason = catalogue.refusal(case(implementation)) or ("", "")
        assert (name, status) == (name, "unavailable")
        assert BROKEN[name][1] in reason
        assert "\n" not in reason
        assert "/" not in reason


def test_plugins_that_cannot_be_imported_cost_their_own_rows_only(tmp_path, mark):
    broken = [name for name in BROKEN if name not in SLOW]
    catalogue = discovered(tmp_path, broken)
    check_refusals(catalogue, broken)
    cases = [case(name) for name in ("eager", "lab:good", *names_of(broken))]
    found = by_implementation(run(tmp_path / "store", plan(catalogue, cases)))
    assert {found.pop(name)[0] for name in names_of(broken)} == {"unavailable"}
    assert found == {"eager": ("ok", ""), "lab:good": ("ok", "")}


@pytest.mark.slow
def test_stranger_plugins_are_unavailable_with_their_reason(tmp_path, mark):
    check_refusals(discovered(tmp_path, SLOW), SLOW)


def test_a_worker_whose_installation_is_broken_says_so(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import gatebench.run.process as process

    monkeypatch.setattr(process, "_PACKAGE_ROOT", f"{tmp_path}:{process._PACKAGE_ROOT}")
    with pytest.raises(UserError, match=r"gatebench: a worker cannot start: .*libtorch\.so"):
        discover()
