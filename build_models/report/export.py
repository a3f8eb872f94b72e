"""Stage `export`: the folder of one model version, checked against the trained originals, with its card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from build_models.config import BuildError, Config
from build_models.learn import train
from build_models.learn.samples import SIZES
from build_models.report import card, measured, package
from build_models.run import Run
from larch_cnpredict.models import Models
from larch_cnpredict.samples import TOLD, read

SAME_CLASS, SAME_PROBABILITY = 0.999, 1e-4
CHECKED = 2000  # spectra


def run(config: Config) -> None:
    """Write the models to `<models>/<version>`, replacing that version as a whole, and renew the figures of README."""
    place(config)
    this = Run.load(config)
    if not (this.folder / "metrics.json").exists():
        raise FileNotFoundError(f"{this.folder} has no metrics of these settings yet; run the stage 'evaluate' first")
    metrics = json.loads((this.folder / "metrics.json").read_text())
    calibration = metrics["calibration"]
    staged, others = this.folder / "shipped", this.folder / "unseen"
    manifest = package.write(staged, this, calibration)
    agreement = metrics["agreement"] if config.train.keep else check(Models(staged), train.trained(this), this)
    metrics["agreement"] = agreement | check_samples(Models(staged), this)
    if config.train.measured:
        package.write(others, this, calibration, unseen=True)
        folder, folders = Path(config.train.measured), {"as shipped": staged, "formulas unseen": others}
        metrics["measured"] = {name: measured.score(folder, models) for name, models in folders.items()}
        metrics["samples"]["measured"] = {name: measured.mixtures(folder, models) for name, models in folders.items()}
    for name in ("confusion.png", "importance.png"):
        shutil.copy(Path(config.train.keep or this.folder) / name, staged / name)
    ship(staged, config, manifest, metrics)


def place(config: Config) -> Path:
    """Where these models go: nothing is there, or a version of models."""
    target = Path(config.train.models or config.out / "models") / config.train.version
    if target.exists() and not (target / "manifest.json").exists():
        raise BuildError(f"{target} is there and holds no models; choose another [train] models or version")
    return target


def ship(staged: Path, config: Config, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write card and figures to the models of a folder, and a copy of it, as a whole, to its place; renew README."""
    (staged / "README.md").write_text(card.render("card.md.jinja", manifest, metrics) + "\n")
    (staged / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    target = place(config)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".") as beside:
        whole = shutil.copytree(staged, Path(beside) / target.name)
        shutil.rmtree(target, ignore_errors=True)
        whole.rename(target)
    if config.train.readme:
        card.fill_page(Path(config.train.readme), card.render("figures.md.jinja", manifest, metrics))
    print(f"{target}: {sum(path.stat().st_size for path in target.iterdir()) / 1e6:.1f} MB")


def check(exported: Models, models: Mapping[str, Any], this: Run) -> dict[str, dict[str, float]]:
    """Hold ONNX against the trained originals on spectra that no training saw, each family on its own."""
    spectra = this.spectra("realistic")
    rows = np.random.default_rng(this.seed).permutation(np.flatnonzero(~this.data.single))[:CHECKED]
    out = {}
    for name, model in models.items():
        x = spectra.inputs(model.reads, 0, rows)
        out[name] = _agreement(name, model.predict(x), exported.probabilities(name, x))
    return out


def check_samples(exported: Models, this: Run) -> dict[str, dict[str, float]]:
    """The same of the networks of samples, on other draws than they were trained on."""
    test, out = this.samples("test"), {}
    rows = np.random.default_rng(this.seed).permutation(len(this.anchors))[:CHECKED]
    for reads in SIZES:
        (x, told), name = np.split(test.inputs(reads, 0, rows), [-TOLD], axis=1), f"samples, {reads}"
        trained = train.load(this, f"samples-{reads}", unseen=False).predict(read(x, told))
        out[name] = _agreement(name, trained, exported.of_samples(reads, x, told))
    return out


def _agreement(name: str, trained: np.ndarray, shipped: np.ndarray) -> dict[str, float]:
    same = float((trained.argmax(1) == shipped.argmax(1)).mean())
    difference = float(np.abs(trained - shipped).max())
    if same < SAME_CLASS or difference > SAME_PROBABILITY:
        raise BuildError(f"{name}: same class for {same:.2%} only, probabilities differ by up to {difference:.1e}")
    return {"same_class": same, "difference": difference, "spectra": len(trained)}
