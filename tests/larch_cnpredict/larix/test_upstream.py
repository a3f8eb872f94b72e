"""docs/upstream.patch, applied to a copy of the installed Larch: with that, no init.lar is needed."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import larch
import pytest

from larch_cnpredict.larch_hooks import SNIPPET
from tests.larch_cnpredict.test_hooks import probe

ROOT = Path(__file__).parents[3]
PATCH = ROOT / "docs" / "upstream.patch"
MADE_FOR = re.search(r"xraylarch ([\d.]+\d)", PATCH.read_text(encoding="utf-8"))[1]  # type: ignore[index]

pytestmark = [
    pytest.mark.skipif(version("xraylarch") != MADE_FOR, reason=f"docs/upstream.patch is for xraylarch {MADE_FOR}"),
    pytest.mark.skipif(shutil.which("patch") is None, reason="needs the program patch"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder for PYTHONPATH: the patched copy of Larch, and the entry points as an installed package offers them."""
    folder, installed = tmp_path_factory.mktemp("site"), Path(larch.__file__).parent
    shutil.copytree(installed, folder / "larch", ignore=shutil.ignore_patterns("bin", "__pycache__"))
    (folder / "larch" / "bin").symlink_to(installed / "bin")
    command = ["patch", "-p1", "--fuzz=0", "-i", str(PATCH)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "larch_cnpredict-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: larch-cnpredict\nVersion: 0.1.0\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()) for group, entries in groups]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_the_shell_has_the_functions(site, tmp_path):
    which, symbols, _ = probe(tmp_path, **site)
    assert (which, symbols) == ("_xafs.predict_cn", "[]")
    assert probe(tmp_path, PYTHONPATH=str(ROOT))[0] == "None"  # of the released Larch


def test_a_plugin_that_fails_stops_nothing(site, tmp_path):
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[larch.plugins]\nbad = no_such_module:register\n")
    code = "from larch import Interpreter; print(Interpreter().eval(\"which('predict_cn')\"))"
    env = {"LARCHDIR": str(tmp_path / "larch"), "PYTHONPATH": f"{tmp_path}:{site['PYTHONPATH']}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "plugin 'bad' could not be loaded: No module named 'no_such_module'" in done.stdout
    assert done.stdout.endswith("_xafs.predict_cn\n"), done.stderr


@pytest.mark.parametrize("init_lar", ["", SNIPPET], ids=["without init.lar", "with both"])
def test_each_window_of_larix_has_tab_and_menu_once(larix, larchdir, site, init_lar):
    (larchdir / "init.lar").write_text(init_lar, encoding="utf-8")
    seen = larix("second", environment=site)
    for name in ("tabs", "tabs of the first"):
        assert seen[name].count("cnpredict") == 1
    assert [menus.count("CN") for menus in seen["menus"]] == [1, 1]
    assert seen["shown"] == "CNPanel"
