"""The Larch scripts in examples/, run as their first lines say. Gallery and notebook are run by the documentation."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers import EXAMPLES

LARCH = "from larch.apps import run_larch; run_larch()"  # what the command `larch` is


@pytest.mark.parametrize(
    ("script", "options", "printed", "makes"),
    [
        ("one_spectrum.lar", [], ["coordination number 4, 90 % set [4, ", "  like Cu"], ["CuO_cn.png"]),
        ("many_spectra.lar", ["-x"], ["Cu K: CN 12 (p = ", "Ni K: CN 12 (p = ", "kmax 13: 12, 90 % set [12]"], []),
    ],
)
def test_larch_scripts(script, options, printed, makes, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)  # as on a computer without a screen; -x: no windows are asked for
    folder = shutil.copytree(EXAMPLES, tmp_path / "examples")
    environment = os.environ | {"LARCHDIR": str(tmp_path / "larch")}

    def run(*command: str) -> str:
        command = (sys.executable, *command)
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    run("-m", "larch_cnpredict.cli", "install")
    (folder / "save.lar").write_text("save_session('all.larix')\nread_session('all.larix')\n")
    text = run("-c", LARCH, "-e", "-q", *options, script, "save.lar")
    assert not re.search("error|traceback|warning", text, re.IGNORECASE)
    assert (folder / "all.larix").exists()
    for line in printed:
        assert line in text
    for name in makes:
        assert (folder / name).stat().st_size > 10_000
