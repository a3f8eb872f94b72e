"""What the models say of spectra, and the answers in words: from spectra to predictions, from top to bottom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import composition, domain, features, samples, uncertainty
from .models import Models
from .request import Request
from .result import HARDLY, LIKELY, ONE_SITE, Prediction, p_text
from .spectrum import Spectrum

OTHER_PHASES = "another phase, such as a support, is taken to have {}: the spectrum would contradict all of {}"
CONTRADICTION = (
    "the spectrum contradicts the composition {}, with which {} is commonest, and says {}: "
    "is the sample what it is taken for?"
)
MUCH = LIKELY, domain.SURE  # what p may have fallen below
LOWERED = (
    "p is lowered, for a mixture could look the same: as a whole it is read as mean {}, "
    "and were it known to be one site, as CN {} with {}"
)
PRE_EDGE = (
    "mu(E) has a peak of {:.2f} of the edge step at {:.1f} eV, before the edge: some of the sample may have four or "
    "five neighbours, with which {} has such a peak, and mostly not with six"
)
UNLIKE_ONE = "taken as one site, as told; without that it is read as several (probability {:.2f}), mean {}"
NOT_ONE = f"{UNLIKE_ONE}, which is far from CN {{}}: is it one site?"
# How far a number may be from the interval of the mean, where it is told to be one site. A foil that is read as
# particles is 0.9 away (titanium, measured).
FAR = 2.0


def model_inputs(spectra: Sequence[Spectrum]) -> dict[str, np.ndarray]:
    """What the models read of spectra that all have chi(k), or none (NaN for phases); by the names of the manifest."""
    elements, kmax = [s.element for s in spectra], np.array([s.kmax for s in spectra])
    r = features.larch_r()
    chir_mag = np.array([np.interp(r, s.r, s.chir_mag) for s in spectra])
    phases = np.full((len(spectra), features.COMPLEX_SIZE), np.nan, dtype=np.float32)
    if spectra[0].chi is not None:
        chi = np.array([features.on_k_grid(s.k, s.chi) for s in spectra])  # type: ignore[arg-type]
        kend = np.array([s.k[-1] for s in spectra])  # type: ignore[index]
        phases = features.complex_features(chi, elements, kmax, kend)
    return {"magnitude": features.magnitude_features(r, chir_mag, elements, kmax), "complex": phases}


@dataclass(frozen=True)
class Said:
    """What the models say of one spectrum."""

    family: str
    alone: np.ndarray  # p of each number, by the spectrum alone
    by_composition: np.ndarray  # by what it is made of; 0 where nobody tells
    joint: np.ndarray  # by both
    sample: samples.Sample  # as a whole
    untold: samples.Sample  # the same by the spectrum alone
    p: np.ndarray  # `joint`, lowered where the sample as a whole does not agree, unless it is told to be one site
    p_alone: np.ndarray  # `alone`, in the same way
    made_of: dict[str, float]  # what the sample is made of, without what is taken for other phases


def ask(spectra: list[Spectrum], reads: str, request: Request, models: Models) -> list[Prediction]:
    """Spectra that all have chi(k), or none of them, in one batch."""
    # 'default' is the best family that can read the spectra
    family = models.manifest["default"][reads] if request.model == "default" else request.model
    fitted, prior = models.calibration[family], np.array(models.calibration[family]["prior"])  # how common in training
    elements, inputs = [one.element for one in spectra], model_inputs(spectra)
    alone = uncertainty.temper(models.probabilities(family, inputs[models.reads(family)]), fitted["power"])
    joint, by_composition = alone.copy(), np.zeros_like(alone)
    made_of = [one.composition.amounts if one.composition else {} for one in spectra]
    if told := [i for i, amounts in enumerate(made_of) if amounts]:
        kind = spectra[told[0]].composition.kind  # type: ignore[union-attr]  # one for all: the request's, or headers'
        known = composition.inputs([made_of[i] for i in told], [elements[i] for i in told])
        by_composition[told] = models.probabilities(kind, known)
        for i in told if kind == "elements" else []:
            if uncertainty.agreement(alone[i], by_composition[i]) < (least := fitted[kind]["agreement"]):
                fewer = _of_one_phase(made_of[i], elements[i], alone[i], least, models)
                made_of[i], by_composition[i] = fewer or (made_of[i], by_composition[i])
        joint[told] = uncertainty.combined(alone[told], by_composition[told], prior, fitted[kind]["weights"])
    # what the networks of samples are told beside the spectra: s02, and what the samples are made of
    s02 = np.full(len(spectra), np.nan if request.reference is None else request.reference)
    beside = samples.told_columns(s02, composition.elements_of(made_of))

    def of_samples(beside: np.ndarray) -> list[samples.Sample]:
        said = models.of_samples(reads, inputs[reads], beside)
        return samples.describe(said, elements, models.calibration["samples"][reads], request.one_site)

    def spoken_of(p: np.ndarray, sample: samples.Sample) -> np.ndarray:
        """Who is not sure of the sample as a whole is not sure of its number."""
        if request.one_site:
            return p
        near = float(samples.near(sample.density, models.classes[p.argmax()]))
        return uncertainty.with_sample(p, near, samples.by_number(sample.density, models.classes))

    described = of_samples(beside)
    untold = of_samples(np.zeros_like(beside)) if beside.any() else described
    numbers, sure = models.classes[joint.argmax(1)], joint.max(1) >= domain.SURE
    verdicts = domain.judge(spectra, inputs, models.domain, sure, numbers)
    out = []
    for i, (spectrum, (reasons, found)) in enumerate(zip(spectra, verdicts, strict=True)):
        p = spoken_of(joint[i], described[i])
        p_alone = spoken_of(alone[i], untold[i]) if spectrum.composition else p
        said = Said(family, alone[i], by_composition[i], joint[i], described[i], untold[i], p, p_alone, made_of[i])
        out.append(_answer(spectrum, said, reasons, found, request, models))
    return out


def _of_one_phase(
    amounts: dict[str, float], absorber: str, alone: np.ndarray, least: float, models: Models
) -> tuple[dict[str, float], np.ndarray] | None:
    """Fewer elements than those that a spectrum contradicts, with which it goes, and what these say of numbers."""
    ways = composition.fewer(amounts, absorber)
    if not ways:
        return None
    said = models.probabilities("elements", composition.inputs(ways, [absorber] * len(ways)))
    best = int((agreed := uncertainty.agreement(alone, said)).argmax())
    return (ways[best], said[best]) if agreed[best] >= least else None


def _remarks(
    spectrum: Spectrum, said: Said, doubts: list[str], calibrated: Mapping[str, Any], request: Request,
    classes: np.ndarray,
) -> tuple[list[str], list[str]]:  # fmt: skip
    """What makes the answer void, beside the doubts that there are, and what else is to be known of it."""
    sample, number, notes = said.sample, int(classes[said.joint.argmax()]), spectrum.notes
    if spectrum.composition:
        text = spectrum.composition.text
        guess, p_alone = classes[said.alone.argmax()], said.p_alone.max()
        by_itself = f"CN {guess} ({p_text(p_alone)})" if p_alone >= HARDLY else f"mean {said.untold.mean_text}"
        nothing = "it" if request.reference is None else "it and s02"
        notes = [f"with the composition {text}; without {nothing}: {by_itself}", *notes]
        if others := [symbol for symbol in spectrum.composition.amounts if symbol not in said.made_of]:
            notes = [OTHER_PHASES.format(" and ".join(others), text), *notes]
        low, high = sample.cn_mean_interval
        # by what it is made of it is another number, which the sample as a whole, told the same, cannot have; elements
        # are those of a mixture too
        one = sample.kind == ONE_SITE or spectrum.composition.kind == "formula"
        beyond = one and number != guess and not low - 0.5 <= number <= high + 0.5
        if beyond or uncertainty.agreement(said.alone, said.by_composition) < calibrated["agreement"]:
            commonest = classes[said.by_composition.argmax()]
            doubts.append(CONTRADICTION.format(text, commonest, by_itself))
    if request.reference is not None:
        by_itself = f"with nothing told beside the spectrum: mean {said.untold.mean_text}"
        notes = [f"with s02 = {request.reference:.2f}; {by_itself}", *notes]
    if request.one_site and sample.mixture >= 0.5:
        low, high = sample.cn_mean_interval
        if low - FAR <= number <= high + FAR:
            notes = [UNLIKE_ONE.format(sample.mixture, sample.mean_text), *notes]
        else:
            doubts.append(NOT_ONE.format(sample.mixture, sample.mean_text, number))
    if spectrum.pre_edge_peak and min(number, sample.cn_mean) > 5:
        energy, height = spectrum.pre_edge_peak
        notes = [*notes, PRE_EDGE.format(height, energy, spectrum.element)]
    if not doubts and sample.kind == ONE_SITE and any(said.joint.max() >= much > said.p.max() for much in MUCH):
        notes = [*notes, LOWERED.format(sample.mean_text, number, p_text(said.joint.max()))]
    return doubts, notes


def _answer(
    spectrum: Spectrum, said: Said, reasons: list[str], found: dict[str, Any], request: Request, models: Models
) -> Prediction:
    """The answer about one spectrum, and what speaks against it; `reasons` and `found` are those of `domain.judge`."""
    fitted, sample, number = models.calibration[said.family], said.sample, int(models.classes[said.joint.argmax()])
    calibrated = fitted[spectrum.composition.kind] if spectrum.composition else fitted
    doubts, notes = _remarks(spectrum, said, [*spectrum.doubts, *reasons], calibrated, request, models.classes)
    if doubts or sample.kind != ONE_SITE or said.joint.max() < LIKELY:
        found["cn_shells"] = []
    threshold = calibrated["thresholds"][spectrum.element] * np.sqrt(fitted["prior"])
    each = np.minimum(calibrated["each"], threshold)  # nothing is ruled out that the smaller set holds
    read_as = {name: getattr(spectrum, name) for name in ("element", "edge", "xftf", "fingerprint")}
    given = {name: read_as[name] for name in ("element", "edge") if getattr(request, name) is not None}
    cn_set = uncertainty.prediction_set(said.joint, models.classes, threshold)
    whole = {name: value for name, value in vars(sample).items() if name != "density"}
    if request.one_site and sample.mixture < 0.5:  # then the mean is the number
        std = float(np.sqrt(said.joint @ (models.classes - said.joint @ models.classes) ** 2))
        ends = [float(min(cn_set)), float(max(cn_set))]
        whole |= {"cn_mean": float(number), "cn_std": std, "cn_mean_interval": ends}
    return Prediction(
        **read_as,
        **found,
        cn=number,
        **whole,
        classes=models.classes.tolist(),
        probabilities=said.p.tolist(),
        cn_set=cn_set,
        cn_set_each=uncertainty.prediction_set(said.joint, models.classes, each),
        composition=spectrum.composition.text if spectrum.composition else "",
        spectrum_probabilities=said.p_alone.tolist() if spectrum.composition else [],
        model=request.model,
        family=said.family,
        model_version=models.version,
        in_domain=not doubts,
        notes=[*doubts, *notes],
        request=replace(request, **given),
    )
