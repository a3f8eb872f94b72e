"""predict_cn: the way of a spectrum from group to answer, from top to bottom."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from larch import isgroup

from .absorber import as_number
from .ask import ask
from .errors import (
    CNPredictError,
    FoilError,
    InputError,
    MissingArrayError,
    OptionError,
    UnsupportedAbsorberError,
    boundary,
)
from .models import Models, load_models
from .reading import compare
from .reference import Reference, read_reference
from .request import Request
from .result import Prediction, is_stale, write
from .spectrum import Spectrum, read_spectrum, spectrum_name


def predict_cn(
    group: Any, chir_mag: Any = None, element: str | None = None, edge: str | None = None, model: str = "default",
    transform: str = "auto", k: Any = None, chi: Any = None, errors: str = "raise", models: str | Path | None = None,
    formula: str | None = None, elements: str | None = None, reference: Any = None, one_site: bool = False,
    _larch: Any = None,
) -> Any:  # fmt: skip
    """Predict how many nearest neighbours the absorbing atom has.

    Use it as you use xftf:

        autobk(data, rbkg=1, kweight=2)
        xftf(data, kmin=3, kmax=12, kweight=2, dk=1, window='hanning')
        predict_cn(data)

    which answers, for example, Fe K: CN 6 (p = 0.93, 90 % set {6}), mean 5.9 [5.3, 6.6]

    6 is the most probable coordination number; of answers given with p = 0.93, 93 of 100 or more are right for single
    sites like those of the calibration, which are simulated; the set holds the truth for nine of ten of these, less
    often where the number is rare; the mean is that of all absorbing atoms, with the interval that holds it for nine of
    ten samples. A mixture of phases or a particle has no one number: the answer then begins with the mean. Where it
    ends with "outside what the models know", do not use it; this catches many such spectra, not all.

    Parameters
    ----------
    group : Group, name of a group, or a list of them; or (n,) array of R in Å, together with chir_mag
        after autobk and xftf. K edges of Sc, Ti, V, Cr, Mn, Fe, Co, Ni, Cu and Zn.
    chir_mag : (n,) array, Å^-3, optional
        |chi(R)| where `group` is an array; k-weighted by 2. Arrays do not say how they were made: with transform='own'
        this one is taken as it is, and with `k` and `chi` it is not needed
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
        what happens when a group fails: 'collect' returns the error in the place of its answer
    models : path, optional
        a folder of models made by build_models, instead of the shipped ones
    formula, elements : str, optional
        what the sample is made of: formula='Na2CrO4' (brackets too, and 'CuSO4·5H2O'), or elements='Na Cr O' where the
        amounts are not known; a support or a diluent, which has no absorber, does not belong to it. The answer is then
        by spectrum and composition together, which is more often right, and a note says what the spectrum alone gives.
        It is in doubt where the two contradict each other. By default the Sample.stoichiometry of an XDI header;
        formula='' asks for the spectrum alone
    reference : Group, name of a group, or float, optional
        the foil of the absorber (not Mn, not Zn), measured like the sample: feffit of its first shell gives s02; or s02
        itself. The mean, its interval and kind are by s02 too then, and a note says what they are without
    one_site : bool
        whether all absorbing atoms are known to have the same surroundings: a foil, a pure compound with one site. p is
        then not lowered for the mixtures that would look alike, and cn_mean is cn. Where the spectrum is read as that
        of several all the same, this is said, and the mean stays

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
    cn_set (90 % prediction set), cn_set_each (a larger one, with a threshold for each number), cn_mean, cn_std,
    cn_mean_interval (90 %), mixture (probability of more than one number), kind, composition, spectrum_probabilities,
    element, edge, model, family, model_version, in_domain, domain_score, notes, xftf, cn_shells, fingerprint,
    neighbours, request. No array is changed.

    The coordination number is that of CrystalNN (Zimmermann and Jain, RSC Adv. 10 (2020) 6063), which labelled sites of
    the Materials Project whose FEFF spectra trained the models; the idea is of Zeng, Hu and Yao (ChinaXiv
    202511.00010). Conventions differ for split shells: of body-centred cubic metals it counts the nearest 8, where many
    quote 8 + 6, of zinc 12, where many quote 6 + 6. cn_shells has both counts, where the known sites most like the
    spectrum agree on them. How good it is, and where it fails, is on the model card: `larch-cnpredict info`.
    """
    OptionError.check("errors", errors, ("raise", "collect"))
    with boundary("what was given"):
        try:
            known = Reference() if reference is None else read_reference(resolve(reference, _larch))
        except InputError:
            raise OptionError("reference", reference, "a foil's group, its name, or s02") from None
        request = Request.checked(
            models, element=element, edge=edge, model=model, transform=transform, formula=formula, elements=elements,
            reference=known.s02, one_site=one_site,
        )  # fmt: skip
        loaded = load_models(request.models, request.model)
        arrays = chir_mag is not None or k is not None
        several = isinstance(group, list | tuple) and not (arrays and all(as_number(one) is not None for one in group))
        groups = list(group) if several else [group]
        out: list[Any] = []
        for i, one in enumerate(groups):
            try:
                groups[i], spectrum = read(one, request, loaded, _larch, chir_mag=chir_mag, k=k, chi=chi)
                if known.absorber not in (None, spectrum.element):
                    raise FoilError(known.name, f"it is of {known.absorber}, and {spectrum.name} of {spectrum.element}")
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
        with suppress(CNPredictError):  # of another version, or changed
            if isgroup(made) and not is_stale(group):
                out[i] = Prediction.from_group(made)
        if i not in out:
            todo.setdefault(Request.stored(made) or Request(), []).append(i)
    for request, rows in todo.items():
        try:
            new = predict_cn([groups[i] for i in rows], errors=errors, **asdict(request))
        except CNPredictError as error:  # the request itself cannot be met: models that are gone, say
            if errors == "raise":
                raise
            new = [error] * len(rows)
        out |= dict(zip(rows, new, strict=True))
    return [out[i] for i in range(len(groups))]


def read(group: Any, request: Request, models: Models, _larch: Any, **arrays: Any) -> tuple[Any, Spectrum]:
    """The group that is meant, by itself or by its name, and its spectrum, if these models can read it."""
    group = resolve(group, _larch)
    with boundary(spectrum_name(group)):
        spectrum = read_spectrum(group, request, **arrays)
        if spectrum.element not in models.absorbers:  # of models that somebody built from a few structures
            raise UnsupportedAbsorberError(spectrum.name, spectrum.element, ", ".join(models.absorbers))
        if request.model != "default" and models.reads(request.model) == "complex" and spectrum.chi is None:
            missing = "k and chi" + (" that transform='own' would read" if request.transform == "own" else "")
            what_to_do = f"the model {request.model!r} reads them; use model='default'"
            raise MissingArrayError(spectrum.name, missing, what_to_do)
    return group, spectrum


def predict_spectra(asked: Sequence[Spectrum], request: Request, models: Models) -> list[Prediction]:
    """All spectra through the models, and with them what e0 or rbkg may have changed."""
    spectra = [*asked, *(other for spectrum in asked for other in spectrum.others)]
    answers: dict[int, Prediction] = {}
    for reads in ("magnitude", "complex"):  # without chi(k), and with it
        if rows := [i for i, one in enumerate(spectra) if (one.chi is None) == (reads == "magnitude")]:
            alike = ask([spectra[i] for i in rows], reads, request, models)
            answers |= dict(zip(rows, alike, strict=True))
    return compare(asked, [answers[i] for i in range(len(spectra))])


def resolve(group: Any, _larch: Any) -> Any:
    """A group by its name, where an interpreter is there to look it up."""
    if not isinstance(group, str):
        return group
    named = _larch.symtable.get_symbol(group) if _larch is not None and _larch.symtable.has_symbol(group) else None
    if not isgroup(named):
        raise InputError(group)
    return named
