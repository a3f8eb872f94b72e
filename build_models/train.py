"""Stage `train`: fit every family on the whole table."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from tqdm import tqdm

from build_models import dataset, families
from build_models.config import Config
from build_models.families import Recipe


def tables(config: Config) -> list[Path]:
    """The spectra tables of a run: those that the configuration names, or what stage `table` made."""
    return [Path(path) for path in config["train"]["tables"]] or [config.out / "spectra.parquet"]


def load(config: Config) -> dataset.Dataset:
    """Read the tables, and leave out what the configuration wants unseen."""
    data = dataset.load(tables(config))
    unseen = set(config["train"]["unseen_formulas"])
    return data.take(np.flatnonzero(~np.isin(data.formulas, list(unseen)))) if unseen else data


def recipe(config: Config) -> Recipe:
    """The recipe with the configuration's numbers."""
    names = ("epochs", "members", "copies", "trees", "bagged_trees")
    return replace(Recipe(), **{name: config["train"][name] for name in names})


def key(config: Config, data: dataset.Dataset) -> str:
    """Same table, recipe and seed, same key: finished work is found under it."""
    what = json.dumps([data.digest, len(data), asdict(recipe(config)), config.seed], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:12]


def folder(config: Config, data: dataset.Dataset) -> Path:
    path = config.out / "train" / key(config, data)
    path.mkdir(parents=True, exist_ok=True)
    return path


def trained(config: Config, data: dataset.Dataset) -> dict[str, Any]:
    """The families fitted to the whole table; those that an earlier run finished are read back.

    These files are the builder's own scratch, read by the builder alone: what ships is ONNX.
    """
    out = {}
    for name in families.FAMILIES:
        path = folder(config, data) / f"{name}.joblib"
        if not path.exists():

            def progress(steps, name=name):
                return tqdm(steps, desc=f"train {name}")

            model = families.fit(name, data, np.arange(len(data)), recipe(config), config.seed, progress)
            partial = path.with_suffix(".part")
            joblib.dump(model, partial)
            partial.rename(path)
        out[name] = joblib.load(path)
    return out


def run(config: Config) -> None:
    """Fit all families; a run that was cut off goes on with the family it was at."""
    data = load(config)
    usable = int(data.trainable.sum())
    print(f"{len(data)} sites of {len(set(data.formulas))} formulas; {usable} have a coordination number of 1 to 16")
    trained(config, data)
