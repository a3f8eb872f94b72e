"""One run of training: its settings, its spectra, how they are split, and where its files are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from build_models.config import Config, ConfigError, short_hash
from build_models.data import table
from build_models.data.labels import formula_key
from build_models.learn import families
from build_models.learn.families import IDEAL_PHASE, PAPER, Recipe
from build_models.learn.samples import COPIES
from build_models.report import measured
from build_models.spectra import copies, dataset, samples
from build_models.spectra.augment import IDEAL, Augmentation
from build_models.spectra.copies import Compositions, Copies
from build_models.spectra.dataset import Dataset
from larch_cnpredict import features


@dataclass(frozen=True)
class Run:
    """Settings and data, and what follows from both."""

    config: Config
    data: Dataset

    @classmethod
    def load(cls, config: Config) -> Run:
        """Read the tables that the configuration names, or what stage `table` made."""
        train = config.train
        data = dataset.load(config.tables, train.structures, train.extra, train.single)
        types = len(set(data.prototypes[data.trainable & ~data.extra]))
        if types < train.folds:
            words = f"{types} structure types cannot be split in {train.folds} folds"
            raise ConfigError(f"{words}: take more structures, or fewer [train] folds")
        return cls(config, data)

    @property
    def seed(self) -> int:
        return self.config.seed

    @cached_property
    def recipe(self) -> Recipe:
        """How the shipped families are trained: what the configuration says, and else the defaults."""
        train = self.config.train
        return Recipe(**{f.name: getattr(train, f.name) for f in fields(Recipe) if hasattr(train, f.name)})

    @cached_property
    def schemes(self) -> dict[str, np.ndarray]:
        """Fold numbers of each way to split: whole structure types, whole formulas, or (as in the paper) anything."""
        keys = {"prototype": self.data.prototypes, "formula": self.data.formulas, "random": np.arange(len(self.data))}
        n, extra = self.config.train.folds, self.data.extra
        return {name: dataset.folds(key, n, self.seed, extra) for name, key in keys.items()}

    @cached_property
    def scored(self) -> Dataset:
        """What figures are about: all but the extra sites, which are there to be learnt from."""
        return self.data.take(np.flatnonzero(~self.data.extra))

    def held(self, scheme: str) -> np.ndarray:
        """Fold numbers of what figures are about; of the extra sites -1."""
        return np.where(self.data.extra, -1, self.schemes[scheme])

    @cached_property
    def unseen_formulas(self) -> tuple[str, ...]:
        """Formulas that the second set of models must not see: those asked for, and those of the measured compounds."""
        asked, folder = self.config.train.unseen_formulas, self.config.train.measured
        of_measured = measured.formulas(Path(folder)) if folder else []
        try:
            names = {formula_key(Composition(name)) for name in asked}
        except ValueError as error:
            raise ConfigError(f"[train] unseen_formulas: {error}") from None
        if unknown := sorted(names.difference(self.data.formulas)):
            raise ConfigError(f"[train] unseen_formulas: no site of the tables is of {', '.join(unknown)}")
        return tuple(sorted(names.union(of_measured)))

    @cached_property
    def unseen(self) -> np.ndarray:
        """Rows of these formulas, as a mask."""
        return np.isin(self.data.formulas, self.unseen_formulas)

    def unseen_anchors(self, anchors: samples.Anchors) -> np.ndarray:
        """Those of these formulas, and of their crystals, whatever was exchanged in them, as a mask."""
        hidden = samples.crystals(self.data.take(np.flatnonzero(self.unseen)))
        return np.isin(anchors.data.formulas, self.unseen_formulas) | np.isin(samples.crystals(anchors.data), hidden)

    def learns(self, family: str | None = None) -> np.ndarray:
        """Rows that there are to learn from, as a mask; extra sites are for families that learn them."""
        extra = family in families.LEARN_EXTRA
        return self.data.trainable & (~self.data.extra | extra)

    @cached_property
    def compositions(self) -> dict[str, Compositions]:
        """What is known of the sites without their spectra, by what is told."""
        return {kind: Compositions.of(self.data, kind, self.recipe.sharpness) for kind in families.BY_COMPOSITION}

    @cached_property
    def folder(self) -> Path:
        """Same tables, structure types, recipe, seed and folds, same folder: finished work is found in it."""
        what = [self.data.digest, *self.data.prototypes, self.seed, self.config.train.folds, self.unseen_formulas]
        train, here = self.config.train, Path(__file__)
        more = [Path(path) for path in (*train.particles, *train.defects)]
        more += [Path(train.keep) / "manifest.json"] if train.keep else []
        # what makes spectra, and what reads them and learns from them, constants and all
        code = [path for part in ("spectra", "learn") for path in sorted(here.parent.glob(f"{part}/*.py"))]
        code += [here, *(here.parent / "data" / f"{name}.py" for name in ("labels", "particles"))]
        read = ("features", "samples", "composition", "domain")
        code += [Path(features.__file__).with_name(f"{name}.py") for name in read]
        what += map(table.sha256, [*more, *code])
        what += [int(mask.sum()) for mask in (self.data.extra, self.data.single)]
        what += [asdict(self.recipe), features.fingerprint()]
        path = self.config.out / "train" / short_hash(json.dumps(what, sort_keys=True))
        path.mkdir(parents=True, exist_ok=True)
        return path

    @cached_property
    def learnt(self) -> samples.Anchors:
        """What samples begin with that networks learn from, extra sites among them."""
        fold, train = self.schemes["prototype"], self.config.train
        return samples.Anchors.of(self.data, fold, train.particles, train.folds, self.seed, self.defects)

    @cached_property
    def defects(self) -> Dataset | None:
        """Sites of no perfect crystal."""
        paths = self.config.train.defects
        return dataset.load(paths) if paths else None

    @cached_property
    def anchors(self) -> samples.Anchors:
        """Those that figures are about."""
        return self.learnt.take(np.flatnonzero(~self.learnt.data.extra))

    @property
    def tested(self) -> np.ndarray:
        """Samples that figures are about, as a mask: those held out as a whole, in the folds that are asked for."""
        train = self.config.train
        return self.anchors.tested & (self.anchors.fold[:, 0] < (train.sample_folds or train.folds))

    def samples(self, name: str) -> Copies:
        """Mixtures, particles and single sites: 'shipped', 'unseen' and 'folds' to learn from, and 'test'.

        Nothing is mixed with what is held out where it is learnt from: with a fold, with the unseen formulas, or, of
        what ships, with nothing. The test has other draws of what figures are about.
        """
        test = name == "test"
        anchors, count = (self.anchors, 1) if test else (self.learnt, COPIES)
        unseen = self.unseen_anchors(anchors) if name == "unseen" else np.zeros(len(anchors), bool)
        sides = anchors.fold if test or name == "folds" else np.column_stack([unseen, unseen])
        return samples.make(self.folder / f"samples-{name}", anchors, sides, self.beam, count, self.seed + test)

    @property
    def beam(self) -> Augmentation:
        """What happens to samples, where `recipe.augmentation` happens to single sites."""
        return samples.in_the_beam(self.recipe.augmentation)

    def spectra(self, name: str) -> Copies:
        """Augmented spectra: 'shipped', 'paper' and 'near ideal' to train on, the others to test with.

        These are 'realistic' and 'ideal'.
        """
        test = replace(self.recipe.augmentation, ideal=0.0, mixture=0.0)
        learnt = {"shipped": self.recipe, "paper": PAPER, "near ideal": IDEAL_PHASE}
        asked = {"realistic": test, "ideal": IDEAL}
        recipe = learnt.get(name) or Recipe(asked[name], sharpness=1.0, spectra=1)
        data = self.data if name == "shipped" else self.data.take(np.flatnonzero(~self.data.single))
        apart = np.column_stack([*self.schemes.values(), self.unseen])[: len(data)]
        path, seed = self.folder / f"spectra-{name.replace(' ', '-')}", self.seed + (name not in learnt)
        return copies.make(path, data, recipe.augmentation, recipe.sharpness, recipe.spectra, seed, apart)
