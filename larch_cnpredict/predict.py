"""predict_cn: the way of a spectrum from group to answer, from top to bottom."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from larch import isgroup

from . import composition, domain, features, samples, uncertainty
from .errors import (
    CNPredictError,
    InputError,
    MissingArrayError,
    OptionError,
    UnknownModelError,
    UnsupportedElementError,
    boundary,
)
from .models import Models, load_models
from .reading import compare
from .request import Request
from .result import Prediction, write
from .spectrum import Spectrum, read_spectrum, spectrum_name

CONTRADICTION = (
    "the spectrum contradicts the composition {}, with which {} is commonest, and says CN {} (p = {:.2f}): "
    "is the sample what it is taken for?"
)
ERROR_CHOICES = ("raise", "collect")


def predict_cn(
    group: Any,
    chir_mag: Any = None,
    element: str | None = None,
    edge: str | None = None,
    model: str = "default",
    transform: str = "auto",
    k: Any = None,
    chi: Any = None,
    errors: str = "raise",
    models: str | Path | None = None,
    formula: str | None = None,
    elements: str | None = None,
    _larch: Any = None,
) -> Any:
    """Predict how many nearest neighbours the absorbing atom has.

    Use it as you use xftf:

        autobk(data, rbkg=1)
        xftf(data, kmin=3, kmax=12, kweight=2, dk=1, window='hanning')
        predict_cn(data)

    which answers, for example, Fe K: CN 6 (p = 0.93, 90 % set {6}), mean 5.9 [5.3, 6.6]

    How to read it: 6 is the most probable coordination number; of answers given with p = 0.93, 93 of 100 or more are
    right for single sites like those of the calibration; the set holds the truth for nine of ten; the mean is that of
    all absorbing atoms, with the interval that holds it for nine of ten samples. A mixture of phases or a particle has
    no one number: the answer then begins with the mean, and says so. Where it ends with "outside what the models know",
    do not use it.

    Parameters
    ----------
    group : Group, name of a group, or a list of them; or (n,) array of R in Å, together with chir_mag
        after autobk and xftf. K edges of Sc, Ti, V, Cr, Mn, Fe, Co, Ni, Cu and Zn.
    chir_mag : (n,) array, Å^-3, optional
        |chi(R)| where `group` is an array; k-weighted by 2
    element, edge : str, optional
        the absorber, such as 'Fe', and 'K'; by default from the group's metadata or e0
    model : str
        'default' is 'phase': neural networks that read magnitude and phases of chi(R), trained on FEFF spectra and
        calibrated on materials that they were not trained on. Where there is no chi(k), or transform='own', it is
        'shells': the same of |chi(R)| alone. The paper's families, 'network', 'bagging' and 'forest', read |chi(R)|
        too, and answer where they are asked by name
    transform : {'auto', 'own', 'training'}
        'auto' reads chir_mag as it is where xftf was run with the settings above (any kmax from 8.5 to 14 Å^-1), and
        transforms a copy of chi(k) where not; 'own' takes chir_mag as it is; 'training' always transforms a copy
    k, chi : (m,) arrays, optional
        Å^-1 and no unit, where `group` is an array
    errors : {'raise', 'collect'}
        what happens when one of several groups fails: 'collect' puts the error in its place
    models : path, optional
        a folder of models made by build_models, instead of the shipped ones
    formula, elements : str, optional
        what the sample is made of: formula='Na2CrO4' (brackets and hydrates too), or elements='Na Cr O' where the
        amounts are not known. The answer is then by spectrum and composition together, which is more often right (the
        card says how much), and a note says what the spectrum alone gives. It is in doubt where the two contradict each
        other. By default the Sample.stoichiometry of an XDI header; formula='' asks for
        the spectrum alone

    Returns
    -------
    Prediction, or a list of them for a list of groups

    Raises
    ------
    CNPredictError
        one sentence on what is wrong and what to do. The group is left as it was.

    Notes
    -----
    Written to each group: `group.cn_predict`, a Group with cn, cn_mean, cn_std, cn_mean_interval (90 %), mixture
    (probability that there is more than one number), kind (of sample), classes, probabilities, cn_set (90 % prediction
    set), cn_set_each (a larger one that holds each number, also a rare one, nine times in ten), composition,
    spectrum_probabilities, element, edge, model, family (of models, that answered), model_version, in_domain,
    domain_score, notes, xftf, fingerprint, neighbours, request; and an entry in `group.journal`. No array of the group
    is changed.

    The coordination number is that of CrystalNN (Zimmermann and Jain, RSC Adv. 10 (2020) 6063), with which the sites of
    the Materials Project structures are labelled whose FEFF spectra trained the models; the idea is of Zeng, Hu and Yao
    (ChinaXiv 202511.00010). How good it is, and where it fails, is on the model card: `larch-cnpredict info`.
    """
    if not isinstance(errors, str) or errors not in ERROR_CHOICES:
        raise OptionError("errors", errors, ERROR_CHOICES)
    with boundary("what was given"):
        request = Request.checked(element, edge, model, transform, models, formula, elements)
        loaded = load_models(request.models)
        check_model(request.model, loaded)
        several = isinstance(group, list | tuple) and not _is_numbers(group)
        groups = list(group) if several else [group]
        out: list[Any] = []
        for i, one in enumerate(groups):
            try:
                groups[i], spectrum = read(one, request, loaded, _larch, chir_mag=chir_mag, k=k, chi=chi)
                out.append(spectrum)
            except CNPredictError as error:
                if errors == "raise":
                    raise
                out.append(error)
        good = [i for i, spectrum in enumerate(out) if isinstance(spectrum, Spectrum)]
        for i, answer in zip(good, predict_spectra([out[i] for i in good], request, loaded), strict=True):
            out[i] = answer
            if isgroup(groups[i]):
                write(groups[i], answer)
    return out if several else out[0]


def read(group: Any, request: Request, models: Models, _larch: Any, **arrays: Any) -> tuple[Any, Spectrum]:
    """The group that is meant, by itself or by its name, and its spectrum, if these models can read it."""
    group = resolve(group, _larch)
    with boundary(spectrum_name(group)):
        spectrum = read_spectrum(group, request, **arrays)
        if spectrum.element not in models.absorbers:  # of models that somebody built from a few structures
            raise UnsupportedElementError(spectrum.name, spectrum.element, "", ", ".join(models.absorbers))
        if request.model != "default" and models.reads(request.model) == "complex" and spectrum.chi is None:
            missing = "k and chi" + (" that transform='own' would read" if request.transform == "own" else "")
            what_to_do = f"the model {request.model!r} reads them; use model='default'"
            raise MissingArrayError(spectrum.name, missing, what_to_do)
    return group, spectrum


def predict_spectra(asked: Sequence[Spectrum], request: Request, models: Models) -> list[Prediction]:
    """All spectra in one batch through the models, and with them what e0 or rbkg may have changed."""
    if not asked:
        return []
    spectra = [*asked, *(other for spectrum in asked for other in spectrum.others)]
    elements, kmax = [s.element for s in spectra], np.array([s.kmax for s in spectra])
    r = features.larch_r()
    chir_mag = np.array([np.interp(r, s.r, s.chir_mag) for s in spectra])
    magnitude = features.magnitude_features(r, chir_mag, elements, kmax)

    phases = np.full((len(spectra), features.COMPLEX_SIZE), np.nan, dtype=np.float32)
    if with_chi := [i for i, s in enumerate(spectra) if s.chi is not None]:
        phases[with_chi] = _complex_features([spectra[i] for i in with_chi])

    families = [models.family(request.model, s.chi is not None) for s in spectra]
    probabilities = np.empty((len(spectra), len(models.classes)))
    for family in set(families):
        rows = [i for i, name in enumerate(families) if name == family]
        p = models.probabilities(family, (magnitude if models.reads(family) == "magnitude" else phases)[rows])
        probabilities[rows] = uncertainty.temper(p, models.calibration[family]["power"])

    alone, told = probabilities, by_composition(spectra, models)
    probabilities = alone.copy()
    for i, known in told.items():
        fitted = models.calibration[families[i]]
        weights = fitted[spectra[i].composition.kind]["weights"]  # type: ignore[union-attr]
        probabilities[i] = uncertainty.combined(alone[i], known, np.array(fitted["prior"]), weights)

    described = describe(spectra, magnitude, phases, models)

    def spoken_of(p: np.ndarray, sample: samples.Sample) -> np.ndarray:
        """Who is not sure of the sample as a whole is not sure of its number."""
        return uncertainty.with_sample(p, sample.near(models.classes[p.argmax()]))

    spoken = np.array([spoken_of(p, sample) for p, sample in zip(probabilities, described, strict=True)])
    without = {i: spoken_of(alone[i], described[i]) for i in told}
    sure = spoken.max(1) >= domain.SURE
    pooled = magnitude[:, : len(features.R_POOLED)]
    verdicts = domain.judge(list(spectra), pooled, models.domain, phases, sure)
    out = []
    answers = zip(spectra, families, probabilities, described, verdicts, strict=True)
    for i, (spectrum, family, p, sample, verdict) in enumerate(answers):
        fitted = models.calibration[family]
        prior = np.array(fitted["prior"])  # how common a number is in training
        doubts, notes = [*spectrum.doubts, *verdict.reasons], spectrum.notes
        if i in told:
            fitted = fitted[spectrum.composition.kind]  # type: ignore[union-attr]
            text, guess = spectrum.composition.text, models.classes[alone[i].argmax()]  # type: ignore[union-attr]
            notes = [f"with the composition {text}; without it: CN {guess} (p = {without[i].max():.2f})", *notes]
            if uncertainty.agreement(alone[i], told[i]) < fitted["agreement"]:
                words = CONTRADICTION.format(text, models.classes[told[i].argmax()], guess, without[i].max())
                doubts.append(words)
        threshold = fitted["thresholds"][spectrum.element] * np.sqrt(prior)
        out.append(
            Prediction(
                cn=int(models.classes[p.argmax()]),
                cn_mean=sample.mean,
                cn_std=sample.std,
                cn_mean_interval=sample.interval,
                mixture=sample.mixture,
                kind=sample.kind,
                classes=models.classes.tolist(),
                probabilities=spoken[i].tolist(),
                cn_set=uncertainty.prediction_set(p, models.classes, threshold),
                element=spectrum.element,
                edge=spectrum.edge,
                model=request.model,
                family=family,
                model_version=models.version,
                in_domain=not doubts,
                domain_score=verdict.score,
                notes=[*doubts, *notes],
                cn_set_each=uncertainty.prediction_set(p, models.classes, np.array(fitted["each"])),
                composition=spectrum.composition.text if spectrum.composition else "",
                spectrum_probabilities=without[i].tolist() if i in told else [],
                xftf=spectrum.xftf,
                fingerprint=spectrum.fingerprint,
                neighbours=verdict.neighbours,
                request=replace(
                    request,
                    element=spectrum.element if request.element is not None else None,
                    edge=spectrum.edge if request.edge is not None else None,
                ),
            )
        )
    return compare(asked, out)


def by_composition(spectra: Sequence[Spectrum], models: Models) -> dict[int, np.ndarray]:
    """Distributions by composition alone, by the place of the spectrum, of those whose composition is told."""
    out: dict[int, np.ndarray] = {}
    for kind in ("formula", "elements"):
        rows = [i for i, spectrum in enumerate(spectra) if spectrum.composition and spectrum.composition.kind == kind]
        if rows:
            amounts = [spectra[i].composition.amounts for i in rows]  # type: ignore[union-attr]
            x = composition.inputs(amounts, [spectra[i].element for i in rows])
            out |= dict(zip(rows, models.probabilities(kind, x), strict=True))
    return out


def describe(
    spectra: Sequence[Spectrum], magnitude: np.ndarray, phases: np.ndarray, models: Models
) -> list[samples.Sample]:
    """Each spectrum as that of a sample, which may hold several sites, phases, or particles."""
    out: dict[int, samples.Sample] = {}
    for reads, x in (("complex", phases), ("magnitude", magnitude)):
        rows = [i for i, spectrum in enumerate(spectra) if (spectrum.chi is not None) == (reads == "complex")]
        if rows:
            elements, calibration = [spectra[i].element for i in rows], models.calibration["samples"][reads]
            out |= dict(
                zip(rows, samples.describe(models.of_samples(reads, x[rows]), elements, calibration), strict=True)
            )
    return [out[i] for i in range(len(spectra))]


def _complex_features(spectra: Sequence[Spectrum]) -> np.ndarray:
    chi = np.array([features.on_k_grid(s.k, s.chi) for s in spectra])  # type: ignore[arg-type]
    kend = np.array([s.k[-1] for s in spectra])  # type: ignore[index]
    return features.complex_features(chi, [s.element for s in spectra], np.array([s.kmax for s in spectra]), kend)


def check_model(model: Any, models: Models) -> None:
    """Refuse a name that is no model."""
    known = ["default", *models.families]
    if not isinstance(model, str) or model not in known:
        raise UnknownModelError("model", model, known)


def resolve(group: Any, _larch: Any) -> Any:
    """A group by its name, where an interpreter is there to look it up."""
    if not isinstance(group, str):
        return group
    named = _larch.symtable.get_symbol(group) if _larch is not None and _larch.symtable.has_symbol(group) else None
    if not isgroup(named):
        raise InputError(group, "there is no group of that name")
    return named


def _is_numbers(values: Any) -> bool:
    return len(values) > 0 and all(isinstance(value, int | float | np.number) for value in values)
