"""predict_cn: the way of a spectrum from group to answer, from top to bottom."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from larch import isgroup

from . import composition, domain, features, samples, uncertainty
from .errors import CNPredictError, InputError, MissingArrayError, OptionError, UnsupportedElementError, boundary
from .models import Models, load_models
from .reading import compare
from .reference import read_reference
from .request import Request
from .result import LIKELY, ONE_SITE, Prediction, is_stale, write
from .spectrum import Spectrum, read_spectrum, spectrum_name

CONTRADICTION = (
    "the spectrum contradicts the composition {}, with which {} is commonest, and says CN {} (p = {:.2f}): "
    "is the sample what it is taken for?"
)
LOWERED = "p of CN {} is {:.2f} for a sample that is known to be one site; as a whole this one is read as mean {}"


def predict_cn(
    group: Any, chir_mag: Any = None, element: str | None = None, edge: str | None = None, model: str = "default",
    transform: str = "auto", k: Any = None, chi: Any = None, errors: str = "raise", models: str | Path | None = None,
    formula: str | None = None, elements: str | None = None, reference: Any = None, _larch: Any = None,
) -> Any:  # fmt: skip
    """Predict how many nearest neighbours the absorbing atom has.

    Use it as you use xftf:

        autobk(data, rbkg=1)
        xftf(data, kmin=3, kmax=12, kweight=2, dk=1, window='hanning')
        predict_cn(data)

    which answers, for example, Fe K: CN 6 (p = 0.93, 90 % set {6}), mean 5.9 [5.3, 6.6]

    6 is the most probable coordination number; of answers given with p = 0.93, 93 of 100 or more are right for single
    sites like those of the calibration; the set holds the truth for nine of ten; the mean is that of all absorbing
    atoms, with the interval that holds it for nine of ten samples. A mixture of phases or a particle has no one number:
    the answer then begins with the mean. Where it ends with "outside what the models know", do not use it.

    Parameters
    ----------
    group : Group, name of a group, or a list of them; or (n,) array of R in Å, together with chir_mag
        after autobk and xftf. K edges of Sc, Ti, V, Cr, Mn, Fe, Co, Ni, Cu and Zn.
    chir_mag : (n,) array, Å^-3, optional
        |chi(R)| where `group` is an array; k-weighted by 2
    element, edge : str, optional
        the absorber, such as 'Fe', and 'K'; by default from the group's metadata or e0
    model : str
        'default' is 'phase', neural networks that read magnitude and phases of chi(R); without chi(k), or with
        transform='own', it is 'shells', the same of |chi(R)| alone. The paper's families, 'network', 'bagging' and
        'forest', read |chi(R)| too, and answer where they are asked by name
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
        amounts are not known. The answer is then by spectrum and composition together, which is more often right, and
        a note says what the spectrum alone gives. It is in doubt where the two contradict each other. By default the
        Sample.stoichiometry of an XDI header; formula='' asks for the spectrum alone
    reference : Group, name of a group, or float, optional
        the foil of the absorber (not Mn, not Zn), measured like the sample: feffit of its first shell gives s02; or s02
        itself. The mean, its interval and kind are by s02 too then, and a note says what they are without

    Returns
    -------
    Prediction, or a list of them for a list of groups

    Raises
    ------
    CNPredictError
        one sentence on what is wrong and what to do, as from all functions of the package; the group is as it was

    Notes
    -----
    Written to each group: an entry in `group.journal`, and `group.cn_predict`, a Group with cn, classes, probabilities,
    cn_set (90 % prediction set), cn_set_each (a larger one, which holds rare numbers too nine times in ten), cn_mean,
    cn_std, cn_mean_interval (90 %), mixture (probability of more than one number), kind, composition,
    spectrum_probabilities, element, edge, model, family, model_version, in_domain, domain_score, notes, xftf,
    cn_shells, fingerprint, neighbours, request. No array is changed.

    The coordination number is that of CrystalNN (Zimmermann and Jain, RSC Adv. 10 (2020) 6063), which labelled sites of
    the Materials Project whose FEFF spectra trained the models; the idea is of Zeng, Hu and Yao (ChinaXiv
    202511.00010). Conventions differ for split shells: of body-centred cubic metals it counts the nearest 8, where many
    quote 8 + 6, of zinc 12, where many quote 6 + 6. cn_shells has both counts, where the known sites most like the
    spectrum agree on them. How good it is, and where it fails, is on the model card: `larch-cnpredict info`.
    """
    OptionError.check("errors", errors, ("raise", "collect"))
    with boundary("what was given"):
        known = None if reference is None else read_reference(resolve(reference, _larch))
        s02 = known.s02 if known else None
        request = Request.checked(
            models, element=element, edge=edge, model=model, transform=transform, formula=formula, elements=elements,
            reference=s02,
        )  # fmt: skip
        loaded = load_models(request.models, request.model)
        if known and not loaded.told:
            raise OptionError("reference", s02, f"left out: the models {loaded.version} were never told s02")
        numbers = (int, float, np.number)
        several = isinstance(group, list | tuple) and not (group and all(isinstance(one, numbers) for one in group))
        groups = list(group) if several else [group]
        out: list[Any] = []
        for i, one in enumerate(groups):
            try:
                groups[i], spectrum = read(one, request, loaded, _larch, chir_mag=chir_mag, k=k, chi=chi)
                if known:
                    known.check(spectrum)
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


def current_answers(groups: Sequence[Any], errors: str = "raise") -> list[Any]:
    """The answers that still hold, and new ones where none does, asked for as the old ones were: alike in one batch."""
    out: dict[int, Any] = {}
    todo: dict[Request, list[int]] = {}
    for i, group in enumerate(groups):
        made = getattr(group, "cn_predict", None)
        try:
            if isgroup(made) and not is_stale(group):
                out[i] = Prediction.from_group(made)
        except CNPredictError:
            pass  # of another version, or changed
        if i not in out:
            todo.setdefault(Request.stored(made) or Request(), []).append(i)
    for request, rows in todo.items():
        new = predict_cn([groups[i] for i in rows], errors=errors, **asdict(request))
        out |= dict(zip(rows, new, strict=True))
    return [out[i] for i in range(len(groups))]


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


def predict_spectra(
    asked: Sequence[Spectrum], request: Request, models: Models, lowered: bool = True
) -> list[Prediction]:
    """All spectra in one batch through the models, and with them what e0 or rbkg may have changed.

    `lowered`: whether p is lowered where the sample as a whole does not agree, see `uncertainty.with_sample`.
    """
    if not asked:
        return []
    spectra = [*asked, *(other for spectrum in asked for other in spectrum.others)]
    elements, inputs = [spectrum.element for spectrum in spectra], model_inputs(spectra)

    def by_spectrum(family: str, rows: list[int]) -> np.ndarray:
        p = models.probabilities(family, inputs[models.reads(family)][rows])
        return uncertainty.temper(p, models.calibration[family]["power"])

    def by_composition(kind: str, rows: list[int]) -> np.ndarray:
        amounts = [spectra[i].composition.amounts for i in rows]  # type: ignore[union-attr]
        return models.probabilities(kind, composition.inputs(amounts, [elements[i] for i in rows]))

    def of_samples(reads: str, rows: list[int], known: np.ndarray) -> list[samples.Sample]:
        says = models.of_samples(reads, inputs[reads][rows], known[rows])
        return samples.describe(says, [elements[i] for i in rows], models.calibration["samples"][reads])

    def spoken_of(p: np.ndarray, sample: samples.Sample) -> np.ndarray:
        """Who is not sure of the sample as a whole is not sure of its number."""
        return uncertainty.with_sample(p, sample.near(models.classes[p.argmax()])) if lowered else p

    reads = ["magnitude" if s.chi is None else "complex" for s in spectra]
    # 'default' is the best family that can read the spectrum
    families = [models.manifest["default"][kind] if request.model == "default" else request.model for kind in reads]
    alone = _by_kind(families, by_spectrum)
    told = _by_kind([s.composition.kind if s.composition else None for s in spectra], by_composition)
    beside = told_of(spectra, request)
    described = _by_kind(reads, partial(of_samples, known=beside))
    blind = [kind if beside[i].any() and models.told else None for i, kind in enumerate(reads)]
    untold = _by_kind(blind, partial(of_samples, known=np.zeros_like(beside)))
    joint = dict(alone)
    for i, known in told.items():
        fitted = models.calibration[families[i]]
        weights = fitted[spectra[i].composition.kind]["weights"]  # type: ignore[union-attr]
        joint[i] = uncertainty.combined(alone[i], known, np.array(fitted["prior"]), weights)
    spoken = [spoken_of(joint[i], described[i]) for i in range(len(spectra))]

    every = np.array([joint[i] for i in range(len(spectra))])
    numbers = models.classes[every.argmax(1)]
    verdicts = domain.judge(spectra, inputs, models.domain, every.max(1) >= domain.SURE, numbers)
    out = []
    for i, (spectrum, family, (reasons, found)) in enumerate(zip(spectra, families, verdicts, strict=True)):
        p, sample, fitted = joint[i], described[i], models.calibration[family]
        prior = np.array(fitted["prior"])  # how common a number is in training
        doubts, notes, without = [*spectrum.doubts, *reasons], spectrum.notes, []
        if spectrum.composition:
            fitted, text = fitted[spectrum.composition.kind], spectrum.composition.text
            guess, without = models.classes[alone[i].argmax()], spoken_of(alone[i], untold.get(i, sample)).tolist()
            nothing = "it" if request.reference is None else "it and s02"
            notes = [f"with the composition {text}; without {nothing}: CN {guess} (p = {max(without):.2f})", *notes]
            if uncertainty.agreement(alone[i], told[i]) < fitted["agreement"]:
                doubts.append(CONTRADICTION.format(text, models.classes[told[i].argmax()], guess, max(without)))
        if request.reference is not None and i in untold:
            low, high = untold[i].interval
            by_itself = f"mean {untold[i].mean:.1f} [{low:.1f}, {high:.1f}]"
            notes = [f"with s02 = {request.reference:.2f}; with nothing told beside the spectrum: {by_itself}", *notes]
        if sample.kind == ONE_SITE and p.max() >= LIKELY > spoken[i].max():
            low, high = sample.interval
            notes = [LOWERED.format(numbers[i], p.max(), f"{sample.mean:.1f} [{low:.1f}, {high:.1f}]"), *notes]
        if doubts or sample.kind != ONE_SITE:
            found["cn_shells"] = []
        threshold = fitted["thresholds"][spectrum.element] * np.sqrt(prior)
        read_as = {name: getattr(spectrum, name) for name in ("element", "edge", "xftf", "fingerprint")}
        given = {name: read_as[name] for name in ("element", "edge") if getattr(request, name) is not None}
        answer = Prediction(
            **read_as,
            **found,
            cn=int(numbers[i]),
            cn_mean=sample.mean,
            cn_std=sample.std,
            cn_mean_interval=sample.interval,
            mixture=sample.mixture,
            kind=sample.kind,
            classes=models.classes.tolist(),
            probabilities=spoken[i].tolist(),
            cn_set=uncertainty.prediction_set(p, models.classes, threshold),
            cn_set_each=uncertainty.prediction_set(p, models.classes, np.array(fitted["each"])),
            composition=spectrum.composition.text if spectrum.composition else "",
            spectrum_probabilities=without,
            model=request.model,
            family=family,
            model_version=models.version,
            in_domain=not doubts,
            notes=[*doubts, *notes],
            request=replace(request, **given),
        )
        out.append(answer)
    return compare(asked, out)


def told_of(spectra: Sequence[Spectrum], request: Request) -> np.ndarray:
    """What the networks of samples are told beside the spectra: s02, and what the samples are made of."""
    s02 = np.full(len(spectra), np.nan if request.reference is None else request.reference)
    amounts = [s.composition.amounts if s.composition else {} for s in spectra]
    return samples.told_columns(s02, composition.elements_of(amounts))


def model_inputs(spectra: Sequence[Spectrum]) -> dict[str, np.ndarray]:
    """What the models read, by the names that the manifest has for it; NaN for phases where there is no chi(k)."""
    elements, kmax = [s.element for s in spectra], np.array([s.kmax for s in spectra])
    r = features.larch_r()
    chir_mag = np.array([np.interp(r, s.r, s.chir_mag) for s in spectra])
    phases = np.full((len(spectra), features.COMPLEX_SIZE), np.nan, dtype=np.float32)
    if rows := [i for i, s in enumerate(spectra) if s.chi is not None]:
        chi = np.array([features.on_k_grid(spectra[i].k, spectra[i].chi) for i in rows])  # type: ignore[arg-type]
        kend = np.array([spectra[i].k[-1] for i in rows])  # type: ignore[index]
        phases[rows] = features.complex_features(chi, [elements[i] for i in rows], kmax[rows], kend)
    return {"magnitude": features.magnitude_features(r, chir_mag, elements, kmax), "complex": phases}


def _by_kind(kinds: Sequence[str | None], run: Callable[[str, list[int]], Iterable[Any]]) -> dict[int, Any]:
    """What `run` gives for the rows of each kind, by row: one run for each kind, none for None."""
    out: dict[int, Any] = {}
    for kind in {kind for kind in kinds if kind is not None}:
        rows = [i for i, one in enumerate(kinds) if one == kind]
        out |= dict(zip(rows, run(kind, rows), strict=True))
    return out


def resolve(group: Any, _larch: Any) -> Any:
    """A group by its name, where an interpreter is there to look it up."""
    if not isinstance(group, str):
        return group
    named = _larch.symtable.get_symbol(group) if _larch is not None and _larch.symtable.has_symbol(group) else None
    if not isgroup(named):
        raise InputError(group, "there is no group of that name")
    return named
