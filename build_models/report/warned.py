"""Stage `domain`: finished models learn anew what is unlike EXAFS, and it is counted of what they warn."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from larch import Group

from build_models.config import Config
from build_models.learn import domain
from build_models.learn.families import Recipe
from build_models.report import confirm
from build_models.spectra import dataset
from build_models.spectra.augment import Augmentation, augment
from build_models.spectra.counterexamples import KINDS, counterexamples
from build_models.spectra.dataset import Dataset
from build_models.spectra.samples import in_the_beam
from larch_cnpredict.domain import SURE
from larch_cnpredict.errors import CNPredictError
from larch_cnpredict.features import ELEMENTS, K_GRID, KSTEP
from larch_cnpredict.models import Models
from larch_cnpredict.predict import predict_spectra
from larch_cnpredict.request import Request
from larch_cnpredict.spectrum import read_spectrum

ASKED = 2000  # spectra of each group
SOUND, FOILS = "sound", "foils"


def run(config: Config) -> None:
    """From the tables that the models learnt from; they are written under the new version, with their card."""
    models, manifest, metrics = confirm.begin(config)
    data = dataset.load(config.tables, config.train.structures)
    how = replace(Recipe().augmentation, ideal=0.0, mixture=0.0)
    models.domain |= domain.fit_unlike(data, how, config.seed)
    metrics["warned"] = warned(models, data, how, config.seed)
    manifest["warns"] = config.train.version
    confirm.finish(config, manifest, metrics, models.domain)


def warned(models: Models, data: Dataset, how: Augmentation, seed: int) -> dict[str, dict[str, Any]]:
    """What users are told of sound spectra and of counterexamples, of formulas that `unlike` has not learnt from."""
    rng = np.random.default_rng([seed, 2])
    data = data.take(np.flatnonzero(data.trainable))
    held_out = data.take(np.flatnonzero(dataset.folds(data.formulas, 5, seed) == 0))
    foils = np.flatnonzero(np.isin(data.formulas, ELEMENTS))
    rows = rng.integers(0, len(held_out), ASKED)
    chi, _, kend = augment(held_out, rows, rng, how)
    out = {SOUND: said(models, chi, held_out.elements[rows], kend)}
    if len(foils):
        rows = rng.choice(foils, ASKED)
        chi, _, kend = augment(data, rows, rng, replace(in_the_beam(how), cold=domain.COLD))
        out[FOILS] = said(models, chi, data.elements[rows], kend)
    chi, elements, _, kend, wrong = counterexamples(held_out, ASKED, rng, how)
    for name in dict.fromkeys(KINDS):
        out[name] = said(models, chi[wrong == name], elements[wrong == name], kend[wrong == name])
    return out


def said(models: Models, chi: np.ndarray, elements: np.ndarray, kend: np.ndarray) -> dict[str, Any]:
    """How many are flagged as outside or refused, and how many get a sure answer that is not."""
    spectra = []
    for row, element, end in zip(chi, elements.tolist(), kend, strict=True):
        inside = end + KSTEP / 4 > K_GRID
        group = Group(k=K_GRID[inside], chi=row[inside].astype(float), element=element, edge="K")
        with suppress(CNPredictError):  # refused: one that is zero everywhere, say
            spectra.append(read_spectrum(group))
    answers = predict_spectra(spectra, Request(), models)
    passed = [answer.p >= SURE for answer in answers if answer.in_domain]
    return {"spectra": len(chi), "flagged": 1 - len(passed) / len(chi), "sure": sum(passed) / len(chi)}
