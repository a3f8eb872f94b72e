"""Registration in a real Larch, and the snippet in init.lar run by a real Larch."""

import io
import os
import subprocess
import sys

import pytest
from larch import Interpreter

import larch_cnpredict
from larch_cnpredict import larch_hooks, models

# what a Larch started from scratch says of predict_cn, and what init.lar left in its session
PROBE = """
import sys
from larch import Interpreter
larch = Interpreter()
before = set(sys.modules)
larch.run_init_scripts()
print(larch.eval("which('predict_cn')"))
print([name for name in dir(larch.symtable) if name not in larch.symtable._sys.core_groups])
heavy = ("torch", "sklearn", "wx", "onnxruntime", "pandas", "pymcr")
print([name for name in heavy if name in set(sys.modules) - before])
"""


def probe(larchdir, **env) -> list[str]:
    env = {**os.environ, "LARCHDIR": str(larchdir), **env}
    run = subprocess.run([sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().splitlines()[-3:]


@pytest.fixture
def init_lar(tmp_path, monkeypatch):
    path = tmp_path / "init.lar"
    monkeypatch.setattr("larch.site_config.init_files", [str(path)])
    return path


def test_register_reaches_this_interpreter_and_later_ones(larch):
    larch_cnpredict.register(_larch=larch)
    for session in (larch, Interpreter()):
        assert session.eval("which('predict_cn')") == "_xafs.predict_cn"
        session.eval("clear_session()")
        assert session.eval("which('predict_cn')") == "_xafs.predict_cn"
        assert session.symtable.get_symbol("predict_cn").__doc__ == larch_cnpredict.predict_cn.__doc__
        session.eval("help(predict_cn)")
        assert session.error == []


def test_what_is_wrong_is_said_in_the_larch_language(larch, measured):
    larch_cnpredict.register(_larch=larch)
    larch.symtable.cu = measured("Cu_foil")
    larch.eval("del cu.k, cu.chi, cu.chir_mag")
    larch.eval("predict_cn(cu)")
    assert "run autobk and xftf" in larch.error[-1].get_error()[1]


def test_register_says_what_is_wrong_and_does_not_raise(larch, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "larch_cnpredict.predict", None)
    monkeypatch.setattr(larch, "writer", io.StringIO())
    larch_cnpredict.register(_larch=larch)
    larch_cnpredict.register()
    for text in (larch.writer.getvalue(), capsys.readouterr().err):
        assert text.startswith("larch-cnpredict could not be loaded: ModuleNotFoundError")


def test_an_older_larix_is_named_as_what_the_tab_cannot_be_in(larch, monkeypatch):
    monkeypatch.setitem(sys.modules, "larch_cnpredict.larix.menu", None)
    monkeypatch.setattr(larch, "writer", io.StringIO())
    larch_hooks.install_larix(larch)
    assert "the CN tab needs the Larix of Larch 2026.2 or later (" in larch.writer.getvalue()


def test_the_snippet_loads_predict_cn_leaves_nothing_and_is_harmless_once_the_package_is_gone(init_lar, tmp_path):
    init_lar.write_text("mine = 1\nif mine > 0:\n    yours = 2\n#endif")
    larch_hooks.install()
    assert larch_hooks.is_installed()
    gone = larch_hooks.SNIPPET.replace("larch_cnpredict", "larch_cnpredict_gone")
    init_lar.write_text(gone + init_lar.read_text())
    which, symbols, modules = probe(tmp_path / "other", LARCHSTARTUP=str(init_lar))
    assert which == "_xafs.predict_cn"
    assert symbols == "['mine', 'yours']"
    assert modules == "[]"


def test_lines_after_a_damaged_snippet_are_kept(init_lar):
    init_lar.write_text(larch_hooks.SNIPPET.splitlines()[0] + "\nold = 1\nmine = 1\n")
    larch_hooks.install()
    larch_hooks.uninstall()
    assert "mine = 1" in init_lar.read_text()


def test_install_and_uninstall_keep_what_is_there(init_lar):
    assert larch_hooks.uninstall() is None
    mine = "# Ünï\r\nx = 1\n".encode() + b"# \xff latin\n"
    init_lar.write_bytes(mine)
    init_lar.chmod(0o600)
    for _ in range(2):
        assert larch_hooks.install() == init_lar
        assert init_lar.read_bytes() == mine + larch_hooks.SNIPPET.encode()
    old = larch_hooks.SNIPPET.replace("_cn_", "_old_").encode()
    init_lar.write_bytes(old + mine)
    assert not larch_hooks.is_installed()
    larch_hooks.install()
    assert init_lar.read_bytes() == mine + larch_hooks.SNIPPET.encode()
    assert larch_hooks.uninstall() == init_lar
    assert init_lar.read_bytes() == mine
    assert init_lar.stat().st_mode & 0o777 == 0o600
    assert larch_hooks.uninstall() is None
    assert list(init_lar.parent.iterdir()) == [init_lar]


def test_install_makes_a_missing_folder(init_lar, monkeypatch):
    path = init_lar.parent / "new" / "init.lar"
    monkeypatch.setattr("larch.site_config.init_files", [str(path)])
    larch_hooks.install()
    assert path.read_text() == larch_hooks.SNIPPET


@pytest.mark.parametrize(
    "call",
    [
        "predict_cn(cu, {}, errors='collect')",
        "predict_cn(cu.r, cu.chir_mag, {}, errors='collect')",
        "explain(cu, {})",
        "plot_cn('cu', figure=None, title='mine')",
        "plot_cn_series([cu, 'cu'], x=[1, 2], figure=None, title='mine', components=False)",
    ],
)
def test_every_option_in_larch(larch, measured, call):
    larch_cnpredict.register(_larch=larch)
    larch.symtable.cu = measured("Cu_foil")
    options = f"element='Cu', edge='K', model='forest', transform='own', models='{models.default_folder()}'"
    larch.eval(f"answer = {call.format(options)}")
    assert [error.get_error() for error in larch.error] == []
    answer = larch.symtable.answer
    if call.startswith("plot"):
        assert answer.get_suptitle() == "mine"
    else:
        prediction = getattr(answer, "prediction", answer)
        assert (prediction.cn, prediction.family) == (12, "forest")


def test_an_interpreter_made_later_has_the_options_too(measured):
    larch_cnpredict.register()
    later = Interpreter()
    later.symtable.cu = measured("Cu_foil")
    later.eval("one = predict_cn('cu', element='Cu', model='forest', transform='own')")
    later.eval("two = explain('cu', model='network', transform='training')")
    later.eval("three = plot_cn('cu', title='mine')")
    assert [error.get_error() for error in later.error] == []
    assert (later.symtable.one.family, later.symtable.two.prediction.family) == ("forest", "network")
