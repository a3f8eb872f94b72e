"""Every stage in one run, on structures that come with Larch, to models that predict_cn loads."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from build_models.__main__ import main
from larch_cnpredict import predict_cn
from larch_cnpredict.errors import UnsupportedAbsorberError
from larch_cnpredict.features import ELEMENTS
from larch_cnpredict.models import load_models

ROOT = Path(__file__).parents[2]
QUICK = """
[train]
spectra = 3
epochs = 2
phase_epochs = 2
members = 1
copies = 2
trees = 5
bagged_trees = 3
folds = 2
version = "mine"
"""


@pytest.mark.feff
def test_from_structures_to_an_answer(tmp_path, measured, monkeypatch, capsys):
    quick = QUICK + f"structures = {json.dumps([str(tmp_path / 'out' / 'structures.parquet')])}\n"
    (tmp_path / "quick.toml").write_text(quick)
    options = ["--limit", "8", "--out", str(tmp_path / "out"), "--config"]
    for name in ("https_proxy", "http_proxy"):  # offline
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("MP_API_KEY", "")
    command = [sys.executable, "-m", "build_models", "all", *options, str(tmp_path / "quick.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    folder = tmp_path / "out" / "models" / "mine"
    models = load_models(folder)
    assert set(models.families) == {"network", "bagging", "forest", "shells", "phase"}
    assert models.manifest["sites"] >= 8
    (scratch,) = (tmp_path / "out" / "train").iterdir()
    metrics = json.loads((scratch / "metrics.json").read_text())
    assert metrics["macro_f1_over"] == "classes"
    assert metrics["data"]["sources"] == {"amcsd": models.manifest["sites"]}
    for scheme, trained, test in (("prototype", "shipped", "realistic"), ("random", "ideal", "ideal")):
        share = metrics["schemes"][scheme][trained][test]["phase"]["all"]["accuracy"]
        assert share * models.manifest["sites"] == pytest.approx(round(share * models.manifest["sites"]))
        assert f"{100 * share:.1f}" in (folder / "README.md").read_text()
    foil, known = measured("Cu_foil"), models.manifest["absorbers"]
    here = {"transform": "own", "models": folder}
    assert predict_cn(foil.r, foil.chir_mag, element=known[0], **here).model_version == "mine"
    with pytest.raises(UnsupportedAbsorberError):
        predict_cn(foil.r, foil.chir_mag, element=(set(ELEMENTS) - set(known)).pop(), **here)
    assert main(["evaluate", *options, str(tmp_path / "quick.toml")]) == 0  # finds everything done
    assert "train:" not in capsys.readouterr().err
    more = quick.replace('"mine"', '"more"') + f"keep = {json.dumps(str(folder))}\n"
    (tmp_path / "keep.toml").write_text(more)
    formula = pq.read_table(tmp_path / "out" / "spectra.parquet", columns=["formula"])["formula"][0].as_py()
    for stage in ("evaluate", "export"):
        assert main([stage, *options, str(tmp_path / "keep.toml"), "--unseen-formulas", formula]) == 0
    assert "train:" in capsys.readouterr().err
    kept, mine = load_models(folder.parent / "more"), models.manifest
    for made in (models, kept):
        assert (made.domain["shell_counts"][:, 0] > 0).mean() > 0.5
        assert f"Of the\n{made.manifest['shells']['sites']} known sites" in (made.folder / "README.md").read_text()
    assert (kept.version, kept.manifest["but_samples"], kept.manifest["families"]) == ("more", "mine", mine["families"])
    assert (folder.parent / "more" / "phase.onnx").read_bytes() == (folder / "phase.onnx").read_bytes()
    assert (
        "networks of samples are of this version; all else is that of mine" in (kept.folder / "README.md").read_text()
    )
    assert "of mine." not in (folder / "README.md").read_text()
    assert predict_cn(foil.r, foil.chir_mag, element=known[0], **here | {"models": kept.folder}).kind
    found = [json.loads(path.read_text()) for path in (tmp_path / "out" / "train").glob("*/metrics.json")]
    assert [one["unseen"]["formulas"] for one in found if "unseen" in one] == [1]
