"""Stage `export`: ONNX files, manifest and card of one model version, checked against the trained originals."""

import datetime
import hashlib
import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from build_models.config import Config, versions
from build_models.learn import domain, train
from build_models.report import card
from build_models.spectra.dataset import CLASSES, Dataset
from larch_cnpredict import features
from larch_cnpredict.models import MANIFEST_FORMAT, Models

SAME_CLASS, SAME_PROBABILITY = 0.999, 1e-4


class ExportError(Exception):
    """An exported model does not answer as the trained one does."""


def run(config: Config) -> None:
    """Write the models to `<models>/<version>`, replacing that version as a whole."""
    data = train.load(config)
    scratch = train.folder(config, data)
    metrics = json.loads((scratch / "metrics.json").read_text())
    models = train.trained(config, data)
    staged = write_models(scratch / "shipped", config, data, models, metrics)
    manifest = json.loads((staged / "manifest.json").read_text())
    for name in ("confusion.png", "importance.png"):
        shutil.copy(scratch / name, staged / name)
    agreement = check(Models(staged), models, config, data)
    (staged / "README.md").write_text(card.card(manifest, metrics, agreement))
    target = Path(config.train.models or config.out / "models") / config.train.version
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(staged, target)
    if config.train.readme:
        card.fill_readme(Path(config.train.readme), card.summary(metrics))
    print(f"{target}: {sum(path.stat().st_size for path in target.iterdir()) / 1e6:.1f} MB")


def write_models(folder: Path, config: Config, data: Dataset, models: dict[str, Any], metrics: dict[str, Any]) -> Path:
    """ONNX files, domain and manifest of one set of trained families; `data` is what they were trained on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    entries = {}
    for name, model in models.items():
        entries[name] = {"reads": model.reads, "classes": model.classes.tolist()} | _write(
            folder / f"{name}.onnx", model.onnx().SerializeToString()
        )
    packed = io.BytesIO()
    np.savez_compressed(packed, **domain.fit(data, train.recipe(config).augmentation, config.seed))  # type: ignore[arg-type]
    manifest = {
        "format": MANIFEST_FORMAT,
        "version": config.train.version,
        "date": datetime.date.today().isoformat(),
        "edge": features.EDGE,
        "absorbers": sorted(set(data.elements)),
        "classes": CLASSES.tolist(),
        "r_grid": {"step": features.R_STEP, "max": features.R_MAX, "read_from": features.R_MIN, "pool": features.POOL},
        "transform": features.TRANSFORM,
        "kmax_range": features.KMAX_RANGE,
        "table": metrics["data"],
        "recipe": asdict(train.recipe(config)),
        "seed": config.seed,
        "libraries": versions(),
        "families": entries,
        "calibration": metrics["calibration"],
        "domain": _write(folder / "domain.npz", packed.getvalue()),
        "metrics": {scheme: _means(metrics[scheme]) for scheme in ("grouped", "random")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return folder


def check(exported: Models, models: dict[str, Any], config: Config, data: Dataset) -> dict[str, dict[str, float]]:
    """Hold ONNX against the trained originals on spectra that no training saw.

    Returns
    -------
    for each family the share of spectra with the same class, and the largest difference of a probability
    """
    spectra = train.spectra(config, data, "augmented")
    rows = np.random.default_rng(config.seed).permutation(len(data))[:2000]
    out = {}
    for name, model in models.items():
        x = spectra.inputs(model.reads, 0, rows)
        trained, shipped = model.predict(x), exported.probabilities(name, x)
        same = float((trained.argmax(1) == shipped.argmax(1)).mean())
        difference = float(np.abs(trained - shipped).max())
        if same < SAME_CLASS or difference > SAME_PROBABILITY:
            raise ExportError(f"{name}: same class for {same:.2%} only, probabilities differ by up to {difference:.1e}")
        out[name] = {"same_class": same, "difference": difference, "spectra": len(rows)}
    return out


def _write(path: Path, content: bytes) -> dict[str, str]:
    path.write_bytes(content)
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}


def _means(results: dict[str, Any]) -> dict[str, Any]:
    return {name: values["mean"] for name, values in results.items()}
