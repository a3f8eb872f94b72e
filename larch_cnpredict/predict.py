"""predict_cn: the way of a spectrum from group to answer, from top to bottom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from larch import isgroup

from . import domain, features, uncertainty
from .errors import (
    CNPredictError,
    InputError,
    MissingArrayError,
    OptionError,
    UnknownModelError,
    UnsupportedElementError,
)
from .models import Models, load_models
from .result import Prediction, write
from .spectrum import Spectrum, is_training, read_spectrum

ERROR_CHOICES = ("raise", "collect")


def predict_cn(
    group: Any,
    chir_mag: Any = None,
    *,
    element: str | None = None,
    edge: str | None = None,
    model: str = "default",
    transform: str = "auto",
    k: Any = None,
    chi: Any = None,
    errors: str = "raise",
    models: str | Path | None = None,
    _larch: Any = None,
) -> Any:
    """Predict how many nearest neighbours the absorbing atom has.

    Use it as you use xftf:

        autobk(data, rbkg=1)
        xftf(data, kmin=3, kmax=12, kweight=2, dk=1, window='hanning')
        predict_cn(data)

    which answers, for example, Fe K: CN 6 (p = 0.93, 90 % set {6}), mean 5.9 ± 0.4

    How to read it: 6 is the most probable coordination number; of answers given with p = 0.93, 93 of 100 are right for
    spectra like those of the calibration; the set holds the truth for nine of ten; the mean is what to quote for a
    sample with several sites. Where the answer ends with "outside what the models know", do not use the number.

    Parameters
    ----------
    group : Group, name of a group, or a list of them; or (n,) array of R in Å, together with chir_mag
        after autobk and xftf. K edges of Sc, Ti, V, Cr, Mn, Fe, Co, Ni, Cu and Zn.
    chir_mag : (n,) array, Å^-3, optional
        |chi(R)| where `group` is an array; k-weighted by 2
    element, edge : str, optional
        the absorber, such as 'Fe', and 'K'; by default from the group's metadata or e0
    model : str
        which family of models answers. 'default' is 'phase', networks that read magnitude and phases of chi(R), and
        'shells', networks that read |chi(R)| alone, where there is no chi(k) or transform='own'. The three families of
        the paper below, 'network', 'bagging' and 'forest', answer where they are asked by name
    transform : {'auto', 'own', 'training'}
        'auto' reads chir_mag as it is where xftf was run with the settings above (any kmax from 8.5 to 14 Å^-1), and
        transforms a copy of chi(k) where not; 'own' takes chir_mag as it is; 'training' always transforms a copy
    k, chi : (m,) arrays, optional
        Å^-1 and no unit, where `group` is an array
    errors : {'raise', 'collect'}
        what happens when one of several groups fails: 'collect' puts the error in its place
    models : path, optional
        a folder of models made by build_models, instead of the shipped ones

    Returns
    -------
    Prediction, or a list of them for a list of groups

    Raises
    ------
    CNPredictError
        one sentence on what is wrong and what to do. The group is left as it was.

    Notes
    -----
    Written to each group: `group.cn_predict`, a Group with cn, cn_mean, cn_std, classes, probabilities, cn_set (90 %
    prediction set), element, edge, model, family, model_version, in_domain, domain_score, notes, xftf, fingerprint,
    neighbours; and an entry in `group.journal`. No array of the group is changed.

    The coordination number is that of CrystalNN (Zimmermann and Jain, RSC Adv. 10 (2020) 6063), on which the models
    were trained with FEFF spectra of Materials Project structures, after Zeng, Hu and Yao (ChinaXiv 202511.00010).
    How good it is, and where it fails, is on the model card: `larch-cnpredict info`.
    """
    if errors not in ERROR_CHOICES:
        raise OptionError("errors", errors, ERROR_CHOICES)
    several = isinstance(group, list | tuple) and not _is_numbers(group)
    groups = [resolve(g, _larch) for g in (group if several else [group])]
    loaded = load_models(models)
    check_model(model, loaded)

    spectra: list[Spectrum | CNPredictError] = []
    for one in groups:
        try:
            spectrum = read_spectrum(one, chir_mag, element=element, edge=edge, transform=transform, k=k, chi=chi)
            check_readable(spectrum, model, transform, loaded)
            spectra.append(spectrum)
        except CNPredictError as error:
            if errors == "raise":
                raise
            spectra.append(error)

    good = [s for s in spectra if isinstance(s, Spectrum)]
    answers = iter(predict_spectra(good, model, transform, loaded))
    out = [next(answers) if isinstance(s, Spectrum) else s for s in spectra]
    for one, answer in zip(groups, out, strict=True):
        if isgroup(one) and isinstance(answer, Prediction):
            write(one, answer)
    return out if several else out[0]


def predict_spectra(spectra: Sequence[Spectrum], model: str, transform: str, models: Models) -> list[Prediction]:
    """All spectra in one batch through the models."""
    if not spectra:
        return []
    elements = [s.element for s in spectra]
    kmax = np.array([s.kmax for s in spectra])
    pooled = np.array([features.pool(np.interp(features.R_GRID, s.r, s.chir_mag)) for s in spectra])
    columns = features.absorber_columns(elements, kmax)
    magnitude = np.hstack([pooled, columns]).astype(np.float32)
    has_chi = np.array([s.chi is not None and transform != "own" for s in spectra])

    families = [models.family(model, chi) for chi in has_chi]
    probabilities = np.empty((len(spectra), len(models.classes)))
    for family in set(families):
        rows = np.array([name == family for name in families])
        x = magnitude[rows] if models.reads(family) == "magnitude" else _complex(spectra, rows)
        answers = models.probabilities(family, x)
        probabilities[rows] = uncertainty.temper(answers, models.calibration[family]["power"])

    verdicts = domain.judge(list(spectra), pooled, features.ELEMENTS, models.domain)
    out = []
    for spectrum, family, p, verdict in zip(spectra, families, probabilities, verdicts, strict=True):
        thresholds = models.calibration[family]["thresholds"]
        mean, std = uncertainty.mean_and_std(p, models.classes)
        own = [] if is_training(spectrum.xftf) else ["chi(R) was not made with the transform that the models know"]
        out.append(
            Prediction(
                cn=int(models.classes[p.argmax()]),
                cn_mean=mean,
                cn_std=std,
                classes=models.classes.tolist(),
                probabilities=p.tolist(),
                cn_set=uncertainty.prediction_set(p, models.classes, thresholds[spectrum.element]),
                element=spectrum.element,
                edge=spectrum.edge,
                model=model,
                family=family,
                model_version=models.version,
                in_domain=not (verdict.reasons or own),
                domain_score=verdict.score,
                notes=[*own, *verdict.reasons, *spectrum.notes],
                xftf=spectrum.xftf,
                fingerprint=spectrum.fingerprint,
                neighbours=verdict.neighbours,
            )
        )
    return out


def _complex(spectra: Sequence[Spectrum], rows: np.ndarray) -> np.ndarray:
    chosen = [s for s, wanted in zip(spectra, rows, strict=True) if wanted]
    chi = np.array([features.on_k_grid(s.k, s.chi) for s in chosen])  # type: ignore[arg-type]
    kmax = np.array([s.kmax for s in chosen])
    kend = np.array([s.k[-1] for s in chosen])  # type: ignore[index]
    return features.complex_features(chi, [s.element for s in chosen], kmax, kend)


def check_model(model: str, models: Models) -> None:
    if model not in ("default", *models.families):
        raise UnknownModelError(model, ["default", *models.families])


def check_readable(spectrum: Spectrum, model: str, transform: str, models: Models) -> None:
    known = models.manifest["absorbers"]
    if spectrum.element not in known:  # of models that somebody built from a few structures
        raise UnsupportedElementError(spectrum.name, spectrum.element, known)
    if model in models.families and models.reads(model) == "complex" and (spectrum.chi is None or transform == "own"):
        raise MissingArrayError(spectrum.name, "k and chi", f"the model {model!r} reads them; use model='default'")


def resolve(group: Any, _larch: Any) -> Any:
    """A group by its name, where an interpreter is there to look it up."""
    if not isinstance(group, str):
        return group
    found = _larch.symtable.get_symbol(group) if _larch is not None and _larch.symtable.has_symbol(group) else None
    if not isgroup(found):
        raise InputError(group, "there is no group of that name")
    return found


def _is_numbers(values: Any) -> bool:
    return len(values) > 0 and isinstance(values[0], int | float | np.number)
