"""predict_cn, the shipped models and what may be wrong with either: a clear error, and the group as it was."""

import json
import pickle
import shutil

import numpy as np
import pytest
from conftest import TRAINING, contents
from larch import Group
from larch.xafs import xftf

from larch_cnpredict import errors, models, predict_cn


def _nan(group):
    group.chir_mag[7] = np.nan


def _short(group):
    group.chi = group.chi[:100]
    group.k = group.k[:100]


def _delete(*names):
    def change(group):
        for name in names:
            delattr(group, name)

    return change


def _set(**values):
    def change(group):
        for name, value in values.items():
            setattr(group, name, value(group) if callable(value) else value)

    return change


BAD = [
    (_delete("k", "chi", "r", "chir_mag"), errors.MissingArrayError, "no chi.k. and no chi.R.: run autobk and xftf"),
    (_delete("r"), errors.MissingArrayError, "has no r, though it has chir_mag"),
    (_nan, errors.BadArrayError, "chir_mag of .* NaN or infinity at 1 of its 326 points"),
    (_set(chi=lambda g: g.chi[:-3]), errors.BadArrayError, "chi of .* has [0-9]+ points and k has"),
    (_set(chir_mag=lambda g: g.chir), errors.BadArrayError, "must hold real numbers, not complex128"),
    (_set(chir_mag=lambda g: g.chir_mag[None]), errors.BadArrayError, "one row of at least 20 numbers"),
    (_set(chir_mag=lambda g: 0 * g.r), errors.BadArrayError, "chir_mag of .* is zero everywhere"),
    (_set(chir_mag=lambda g: g.chir_re), errors.BadArrayError, "has negative values"),
    (_set(r=lambda g: g.r[::-1]), errors.BadArrayError, "r of .* does not rise"),
    (_set(k=[], chi=[]), errors.BadArrayError, "at least 20 numbers"),
    (_short, errors.RangeTooShortError, r"up to k = 5.0 Å\^-1: the models need it up to at least 8.5"),
    (lambda g: xftf(g, **{**TRAINING, "kmax": 4}), errors.RangeTooShortError, "was transformed up to k = 4 "),
    (_set(k=lambda g: g.k + 3.5), errors.RangeTooShortError, r"has chi\(k\) from k = 3.5"),
    (lambda g: (xftf(g, **{**TRAINING, "kmax": 4}), _delete("k", "chi")(g)), errors.TransformError, "kmax=4"),
    (_set(element="Br"), errors.UnsupportedElementError, "Br"),
    (_set(element="Pt", edge="L3"), errors.UnsupportedEdgeError, "L3"),
]


@pytest.mark.parametrize(("spoil", "error", "sentence"), BAD)
def test_bad_spectra(measured, spoil, error, sentence):
    group, good = measured(**TRAINING), measured("Ni_foil")
    spoil(group)
    before = contents(group)
    with pytest.raises(error, match=sentence) as caught:
        predict_cn(group)
    assert "'Cu_foil_liquid_nitrogen.dat'" in str(caught.value)
    assert caught.value.args == (str(caught.value),)  # what Larch's own error display joins
    assert contents(group) == before
    failed, answer = predict_cn([group, good], errors="collect")
    assert type(failed) is error
    assert contents(group) == before
    assert good.cn_predict.cn == answer.cn


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(models.default_folder(), tmp_path / "models")


def refused(measured, folder, error, sentence):
    group = measured()
    before = contents(group)
    with pytest.raises(error, match=sentence):
        predict_cn(group, models=folder)
    assert contents(group) == before


@pytest.mark.parametrize("suffix", ["onnx", "npz"])
def test_a_damaged_model_file(measured, folder, suffix):
    path = sorted(folder.glob(f"*.{suffix}"))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(measured, folder, errors.ModelFileError, f"{path.name} does not match its hash.*: reinstall")
    path.unlink()
    refused(measured, folder, errors.ModelFileError, f"{path.name} cannot be read")


def test_a_damaged_manifest(measured, folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest)[:-20])
    refused(measured, folder, errors.ModelFileError, "manifest.json cannot be read")
    path.write_text(json.dumps({**manifest, "format": 99}))
    refused(measured, folder, errors.ModelFileError, "has format 99")
    path.unlink()
    refused(measured, folder, errors.ModelFileError, "manifest.json is missing")


def test_missing_plugin_data(measured, tmp_path, monkeypatch):
    refused(measured, tmp_path / "none", errors.MissingModelsError, "none.*is missing: reinstall")
    monkeypatch.setattr(models, "files", lambda package: tmp_path)
    refused(measured, None, errors.MissingModelsError, "holds no models")


def test_wrong_options(measured):
    group = measured()
    for options in ({"model": "oracle"}, {"transform": "fast"}, {"errors": "ignore"}):
        ((name, value),) = options.items()
        with pytest.raises(errors.OptionError, match=f"{name}='{value}' is not one of"):
            predict_cn(group, **options)
    assert not hasattr(group, "cn_predict")
    with pytest.raises(errors.InputError, match="'cu': there is no group of that name"):
        predict_cn("cu")
    with pytest.raises(errors.InputError, match="not ndarray"):
        predict_cn(np.arange(9.0))
    with pytest.raises(errors.MissingArrayError, match="no data at all"):
        predict_cn(Group())


def test_errors_survive_leaving_a_worker_process():
    error = errors.BadArrayError("'x'", "chi", "is odd")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.BadArrayError
    assert str(again) == str(error) == "chi of 'x' is odd."
