"""Stage `export`: a folder of models as it ships, ONNX files, domain.npz and manifest, with its card.

Each model is checked against the trained original.
"""

import datetime
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from build_models.config import BuildError, Config, Train, versions
from build_models.data import table
from build_models.learn import families, shells, train
from build_models.learn.samples import SIZES
from build_models.report import card, measured
from build_models.run import Run
from build_models.spectra import augment
from build_models.spectra.dataset import CLASSES
from larch_cnpredict import features
from larch_cnpredict.domain import SHELLS, Arrays
from larch_cnpredict.models import MANIFEST_FORMAT, Models
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import GRID, READ, TOLD, read

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
    manifest = write(staged, this, calibration)
    agreement = metrics["agreement"] if config.train.keep else check(Models(staged), train.trained(this), this)
    metrics["agreement"] = agreement | check_samples(Models(staged), this)
    if config.train.measured:
        write(others, this, calibration, unseen=True)
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


def write(folder: Path, run: Run, calibration: Mapping[str, Any], unseen: bool = False) -> dict[str, Any]:
    """Write the trained models, or those without the unseen formulas, in the place of what was there; the manifest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = run.data.take(np.flatnonzero(~run.data.single & ~(run.unseen & unseen)))
    networks = {reads: train.load(run, f"samples-{reads}", unseen) for reads in SIZES}
    own = {
        "version": run.config.train.version,
        "date": datetime.date.today().isoformat(),
        "samples": {reads: _onnx(folder / f"samples-{reads}.onnx", model) for reads, model in networks.items()},
        "samples_read": READ,
        "beam": asdict(run.beam) | {"s02": augment.S02, "s02_spread": augment.S02_SPREAD},
        **tables(run.config.train, "defects", "particles"),
    }
    if run.config.train.keep and not unseen:
        return write_manifest(folder, _kept(folder, run, own, calibration))
    models = train.trained(run, unseen)
    compositions = {kind: train.load(run, f"composition-{kind}", unseen) for kind in families.BY_COMPOSITION}
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
        **tables(run.config.train, "extra", "single"),
        "calibration": {name: calibration[name] for name in [*models, "samples"]},
        **_domain(folder, run, train.load(run, "domain", unseen)),
    }
    return write_manifest(folder, manifest)


def tables(train: Train, *names: str) -> dict[str, list[dict[str, Any]]]:
    """What the tables of some of these settings say of themselves, for the manifest."""
    return {name: [table.provenance(Path(path)) for path in getattr(train, name)] for name in names}


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
    learnt = tables(run.config.train, "extra", "single")
    said = {"but_samples": but_samples, "samples_learnt": [*learnt["extra"], *learnt["single"]]}
    said["calibration"] = dict(calibration)
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
