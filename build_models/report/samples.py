"""Samples: how right the networks are about mixtures and particles that they did not see, and their calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from build_models.learn import samples, train
from build_models.learn.train import Fits
from build_models.report import scores
from build_models.run import Run
from larch_cnpredict.result import KINDS
from larch_cnpredict.samples import PARTICLE, TOLD, describe

DEFECTS = "vacancies, supports, dopants, sheets"


def evaluate(this: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures by what the networks read, and the calibration that the manifest holds."""
    tested = np.flatnonzero(this.tested)
    data, fold = this.anchors.data.take(tested), this.anchors.fold[tested, 0]
    test = this.samples("test")
    mean, kind = test.truth(0)[tested].T
    kind = kind.astype(int)
    s02, named = told(this, tested).T
    blank = ~s02 & ~named
    metrics, calibration = {}, {}
    for reads in samples.SIZES:
        says = cross_validate(this, reads)[tested]
        said, intervals = out_of_fold(says, mean, kind, data.elements, fold, blank)
        blind = scores.of_the_absorber(mean, data.elements, fold, np.mean)
        groups = {"all": np.ones(len(mean), bool), "nothing told": blank}
        groups |= {"s02 told": s02 & ~named, "elements told": named & ~s02, "both told": s02 & named}
        groups |= {name: kind == i for i, name in enumerate(KINDS)}
        defect = this.anchors.defect[tested]
        groups |= {DEFECTS: defect & ~data.made_up, "complexes": data.made_up}
        for name in (KINDS[PARTICLE], DEFECTS):  # where the amplitude is most of what there is
            groups |= {f"{name}, nothing told": groups[name] & blank, f"{name}, s02 told": groups[name] & s02}
        groups |= {f"said: {name}": said == i for i, name in enumerate(KINDS)}
        groups |= {element: data.elements == element for element in np.unique(data.elements)}
        metrics[reads] = by_group(groups, says, mean, kind, said, intervals, blind)
        calibration[reads] = samples.fit(says[blank], mean[blank], kind[blank], data.elements[blank])
    return metrics, calibration


def told(this: Run, tested: np.ndarray) -> np.ndarray:
    """Whether s02 is told of some samples of the test, and whether their elements are: (n, 2)."""
    known = this.samples("test").inputs("magnitude", 0, tested)[:, -TOLD:]
    return np.column_stack([known[:, 0] > 0, known[:, 2:].any(1)])


def cross_validate(this: Run, reads: str) -> np.ndarray:
    """What networks that did not see its fold say of each sample.

    Of a particle they have seen no other one of the same metals, no bulk of these and nothing of its shape; crystals of
    these metals they may have seen, and alloys of them with others.
    """
    fold = this.learnt.fold
    tests = {
        "samples": (samples.Told(**vars(this.samples("test"))), np.where(this.tested[:, None], this.anchors.fold, -1))
    }
    every = np.ones(len(fold), bool)
    fits = {reads: Fits(samples.fit_networks, reads, this.samples("folds"), this.recipe, every, tests)}
    return train.held_out(this, this.folder / "samples", f"samples, {reads}", fits, fold)[reads]["samples"]


def out_of_fold(
    says: np.ndarray, mean: np.ndarray, kind: np.ndarray, elements: np.ndarray, fold: np.ndarray, blank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kinds that are said, (n,), and intervals, (n, 2), with a calibration that comes from the other folds.

    It is fitted to those of which nothing is told, the mask `blank`: most who ask tell nothing, and where more is told
    intervals hold a little more.
    """
    rest = {i: np.flatnonzero((fold != i) & blank) for i in np.unique(fold).tolist()}
    fitted = {i: samples.fit(says[rows], mean[rows], kind[rows], elements[rows]) for i, rows in rest.items()}
    return described(says, elements, fold, fitted)


def described(
    says: np.ndarray, elements: np.ndarray, fold: np.ndarray, fitted: Mapping[int, Mapping[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Kinds that are said, (n,), and intervals, (n, 2), with the calibration that is fitted for each one's fold."""
    said, intervals = np.zeros(len(says), int), np.zeros((len(says), 2))
    for i in np.unique(fold).tolist():
        test = np.flatnonzero(fold == i)
        answers = describe(says[test], elements[test].tolist(), fitted[i])
        said[test] = [KINDS.index(answer.kind) for answer in answers]
        intervals[test] = [answer.cn_mean_interval for answer in answers]
    return said, intervals


def by_group(groups: Mapping[str, np.ndarray], *values: np.ndarray) -> dict[str, dict[str, float]]:
    """The score of each group, a mask, that has any samples; `values` are what `learn.samples.score` reads."""
    return {name: samples.score(*(one[rows] for one in values)) for name, rows in groups.items() if rows.any()}
