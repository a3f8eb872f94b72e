"""A folder of models as it ships: ONNX files, domain.npz and the manifest."""

import datetime
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from build_models.config import versions
from build_models.data import table
from build_models.learn import composition, samples, shells, train
from build_models.run import Run
from build_models.spectra import augment
from build_models.spectra.dataset import CLASSES
from larch_cnpredict import features
from larch_cnpredict.domain import SHELLS, Arrays
from larch_cnpredict.models import MANIFEST_FORMAT
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, READ


def write(folder: Path, run: Run, calibration: Mapping[str, Any], unseen: bool = False) -> dict[str, Any]:
    """Write the trained models, or those without the unseen formulas, in the place of what was there; the manifest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = run.data.take(np.flatnonzero(~run.data.single & ~(run.unseen & unseen)))
    networks = {reads: train.load(run, f"samples-{reads}", unseen) for reads in samples.SIZES}
    own = {
        "version": run.config.train.version,
        "date": datetime.date.today().isoformat(),
        "samples": {reads: _onnx(folder / f"samples-{reads}.onnx", model) for reads, model in networks.items()},
        "told": ["s02", "elements"],  # beside the spectrum, to the networks of samples
        "samples_read": READ,
        "beam": asdict(run.beam) | {"s02": augment.S02, "s02_spread": augment.S02_SPREAD},
        "defects": [table.provenance(Path(path)) for path in run.config.train.defects],
        "particles": [table.provenance(Path(path)) for path in run.config.train.particles],
    }
    if run.config.train.keep and not unseen:
        return write_manifest(folder, _kept(folder, run, own, calibration))
    models = train.trained(run, unseen)
    compositions = {kind: train.load(run, f"composition-{kind}", unseen) for kind in composition.KINDS}
    entries = {name: {"reads": model.reads} | _model(folder / f"{name}.onnx", model) for name, model in models.items()}
    manifest = {
        **own,
        "format": MANIFEST_FORMAT,
        "edge": features.EDGE,
        "absorbers": sorted(set(data.elements)),
        "classes": CLASSES.tolist(),
        "features": features.fingerprint(),
        "transform": features.TRANSFORM,
        "kmax_range": features.KMAX_RANGE,
        "r_grid": {"step": features.R_STEP, "max": features.R_MAX, "read_from": features.R_MIN, "pool": features.POOL},
        "tables": [table.provenance(path) for path in run.config.tables],
        "sites": len(data),
        "recipe": asdict(run.recipe),
        "seed": run.seed,
        "libraries": versions(),
        "default": {reads: name for reads, name in train.DEFAULT.items() if name in models},
        "families": entries,
        "composition": {kind: _model(folder / f"by-{kind}.onnx", model) for kind, model in compositions.items()},
        "sample_heads": {"mean": GRID.tolist(), "kind": KINDS},
        "extra": [table.provenance(Path(path)) for path in run.config.train.extra],
        "single": [table.provenance(Path(path)) for path in run.config.train.single],
        "calibration": {name: calibration[name] for name in [*models, "samples"]},
        **_domain(folder, run, train.load(run, "domain", unseen)),
    }
    return write_manifest(folder, manifest)


def _kept(folder: Path, run: Run, own: Mapping[str, Any], calibration: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of finished models with other networks of samples; their files are copied, shells are new."""
    finished = Path(run.config.train.keep)
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest.pop("confirmed", None)  # of other networks of samples
    for entry in [*manifest["families"].values(), *manifest["composition"].values()]:
        shutil.copy(finished / entry["file"], folder / entry["file"])
    but_samples = manifest.get("but_samples", manifest["version"])
    with np.load(finished / manifest["domain"]["file"]) as known:
        index = _domain(folder, run, dict(known))
    learnt = [table.provenance(Path(path)) for path in (*run.config.train.extra, *run.config.train.single)]
    said = {"but_samples": but_samples, "samples_learnt": learnt, "calibration": dict(calibration)}
    return manifest | own | index | said


def _domain(folder: Path, run: Run, arrays: Arrays) -> dict[str, Any]:
    """Write domain.npz, with shells if there are tables of the crystals; its entry, and how good shells are."""
    if run.config.train.structures:
        arrays = arrays | shells.of_index(arrays, run.config.train.structures)
    return write_domain(folder, arrays) | ({"shells": shells.held_out(arrays)} if SHELLS[0] in arrays else {})


def write_domain(folder: Path, arrays: Arrays) -> dict[str, Any]:
    """Write domain.npz; its entry in the manifest."""
    np.savez_compressed(folder / "domain.npz", allow_pickle=False, **arrays)
    return {"domain": _entry(folder / "domain.npz")}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write it, and give it back as whoever reads it has it: lists for tuples."""
    text = json.dumps(manifest, indent=1)
    (folder / "manifest.json").write_text(text + "\n")
    return json.loads(text)


def _model(path: Path, model: Any) -> dict[str, Any]:
    return {"classes": model.classes.tolist()} | _onnx(path, model)


def _onnx(path: Path, model: Any) -> dict[str, str]:
    path.write_bytes(model.onnx().SerializeToString())
    return _entry(path)


def _entry(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": table.sha256(path)}
