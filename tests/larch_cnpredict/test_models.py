"""The shipped models: whole, unpicklable, refused where damaged."""

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from larch_cnpredict import errors, features, models, predict_cn

N = len(features.R_POOLED)
INPUTS = {"magnitude": N + 11, "complex": 9 * N + 11}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(models.default_folder(), tmp_path / "models")


def test_the_manifest_says_what_a_model_is():
    loaded = models.load_models()
    assert set(loaded.manifest["absorbers"]) == set(features.ELEMENTS)
    assert {"network", "bagging", "forest"} < set(loaded.families)
    for name in ("tables", "recipe", "libraries", "r_grid", "kmax_range"):
        assert loaded.manifest[name], name
    for family in loaded.families:
        p = loaded.probabilities(family, np.zeros((3, INPUTS[loaded.reads(family)]), np.float32))
        assert p.shape == (3, len(loaded.classes))
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)


def test_shipped_models_are_small_and_have_a_card():
    shipped = models.list_models()
    assert shipped
    total = sum(path.stat().st_size for version in shipped for path in version.iterdir())
    assert 20e6 < total < 40e6
    card = models.card_text()
    for word in ("commonest number", "CrystalNN", "Known failures", "Intended use", "Materials Project"):
        assert word in card


@pytest.mark.parametrize("name", ["phase.onnx", "domain.npz"])
def test_a_damaged_file_is_refused(folder, name, measured):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    group = measured()
    with pytest.raises(errors.ModelFileError, match=f"{name} does not match its hash.*reinstall"):
        predict_cn(group, models=folder)
    assert not hasattr(group, "cn_predict")


def test_only_the_family_that_is_asked_is_read(folder, measured):
    for name in ("network", "bagging", "forest", "shells"):
        (folder / f"{name}.onnx").unlink()
    assert predict_cn(measured(), models=folder).family == "phase"
    with pytest.raises(errors.ModelFileError, match=r"network.onnx cannot be read"):
        predict_cn(measured(), models=folder, model="network")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 1}, "has format 1, not 3: .*name another folder of models"),
        ({"features": "0123456789abcdef"}, "is of models for other inputs.*name another folder of models"),
        ({"samples_read": {"s02": [0.7, 0.15]}}, "is of models for other inputs.*name another folder of models"),
        ({"samples_read": None}, "is of models for other inputs.*name another folder of models"),
        ({"default": {"complex": "phase", "magnitude": "other"}}, "no calibrated family other"),
        ({"classes": None}, "is no manifest of models .*classes"),
        ({"families": 5}, "is no manifest of models"),
        ({"domain": {"file": "manifest.json"}}, "is no manifest of models .*sha256"),
        ({"absorbers": None}, "is no manifest of models .*absorbers"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path, change, reason):
    manifest = json.loads((models.default_folder() / "manifest.json").read_text()) | change
    text = json.dumps({key: value for key, value in manifest.items() if value is not None})
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(errors.ModelFileError, match=reason):
        models.load_models(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POOL", 5),
        ("R_MIN", 0.8),
        ("COMPLEX_KWEIGHTS", (1, 2)),
        ("COMPLEX_SCALE_K", 7.0),
        ("ELEMENTS", features.ELEMENTS[::-1]),
        ("KMAX_UNIT", 1.0),
        ("TRANSFORM", {**features.TRANSFORM, "kmin": 2.5}),
        ("NFFT", 1024),
        ("K_GRID", features.K_GRID[:-1]),
    ],
)
def test_models_of_other_inputs_are_refused(monkeypatch, name, value):
    monkeypatch.setattr(features, name, value)
    with pytest.raises(errors.ModelFileError, match=r"is of models for other inputs.*name another folder of models"):
        models.Models(models.default_folder())


def test_a_manifest_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(errors.ModelFileError, match="cannot be read"):
        models.load_models(tmp_path)


def test_the_newest_version_is_by_number(tmp_path, monkeypatch):
    for name in ("2026.11.10", "2026.11.4", "2026.2.30"):
        (tmp_path / "plugin_data" / name).mkdir(parents=True)
        (tmp_path / "plugin_data" / name / "manifest.json").touch()
    monkeypatch.setattr(models, "__file__", str(tmp_path / "models.py"))
    monkeypatch.delenv(models.FOLDER_VARIABLE, raising=False)
    assert [path.name for path in models.list_models()] == ["2026.2.30", "2026.11.4", "2026.11.10"]
    assert models.default_folder().name == "2026.11.10"


def test_missing_models_are_said(tmp_path, monkeypatch):
    with pytest.raises(errors.ModelFileError, match="is missing: reinstall"):
        models.load_models(tmp_path / "nothing")
    monkeypatch.setattr(models, "__file__", str(tmp_path / "models.py"))
    monkeypatch.delenv(models.FOLDER_VARIABLE, raising=False)
    with pytest.raises(errors.ModelFileError, match="plugin_data holds none: reinstall"):
        models.default_folder()


def test_predicting_imports_nothing_heavy_and_never_unpickles():
    code = """
import pickle, sys
import larch.xafs, numpy as np
before = set(sys.modules)
def refuse(*args, **kws): raise AssertionError("unpickled")
pickle.load = pickle.loads = pickle.Unpickler = refuse
from larch_cnpredict import predict_cn
k = 0.05 * np.arange(281)
chi = 0.5 * np.exp(-0.01 * k**2) * np.sin(2 * k * 1.9) / np.maximum(k, 1)
print(predict_cn(np.arange(10), None, k=k, chi=chi, element="Fe"))
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(new & {"torch", "wx", "pymatgen", "joblib", "mp_api", "skl2onnx", "onnx", "pyarrow", "dask"} or "light")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "light", done.stdout


def test_threads_that_ask_at_once_get_the_same_models():
    models._load.cache_clear()
    start = threading.Barrier(3)

    def ask(_):
        start.wait()
        return models.load_models()

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(ask, range(3))
    assert all(other is first for other in others)
