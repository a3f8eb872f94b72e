"""cn_report: one group's answer as the paragraph that a paper's supplement needs."""

from typing import Any

import numpy as np

from . import __version__
from .errors import boundary, ended
from .explanation import WIDTH, explained
from .features import COMPLEX_KWEIGHTS
from .result import MEANING, ONE_SITE, Prediction, p_text
from .spectrum import Spectrum

CARRIES = 0.36  # of ln p: without a part that carries a number in a paper, p falls by 30 % or more
CITE = (
    f"larch-cnpredict {__version__}",
    "Larch (Newville, J. Phys.: Conf. Ser. 430 (2013) 012007)",
    "AUTOBK (Newville, Livins, Yacoby, Rehr and Stern, Phys. Rev. B 47 (1993) 14126)",
    "FEFF8 (Ankudinov, Ravel, Rehr and Conradson, Phys. Rev. B 58 (1998) 7565)",
    "CrystalNN (Zimmermann and Jain, RSC Adv. 10 (2020) 6063)",
    "the Materials Project (Jain et al., APL Mater. 1 (2013) 011002)",
    "the idea (Zeng, Hu and Yao, ChinaXiv 202511.00010)",
)


def cn_report(group: Any, _larch: Any = None) -> str:
    """Say in a paragraph how the coordination number of a group was found, how sure it is, and what to cite.

    Parameters
    ----------
    group : Group, or its name
        as for plot_cn

    Returns
    -------
    str : data, transform, models, number and set (or the kind where no one number describes the sample), mean with its
        interval, domain, what to cite
    """
    with boundary("what was given"):
        return _paragraph(*explained(group, _larch))


def _paragraph(name: str, answer: Prediction, spectrum: Spectrum, made: Any) -> str:
    x, best, (low, high) = answer.xftf, int(np.argmax(made.importance)), answer.interval
    background = "" if spectrum.rbkg is None else f", background removed by autobk with Rbkg = {spectrum.rbkg:g} Å"
    weights = [x["kweight"]] if spectrum.chi is None else COMPLEX_KWEIGHTS  # networks of phases, at least for the mean
    *others, last = (f"k^{weight}" for weight in weights)
    weighted = f"{', '.join(others)} and {last}, each by itself" if others else last
    finds = f"It finds coordination number {answer.cn} ({p_text(answer.p)}, 90 % prediction set {answer.set_text})."
    if answer.kind != ONE_SITE:  # no one number: its p, and what carries that, mean little
        several = "" if answer.mixture is None else f" (probability of more than one number {answer.mixture:.2f})"
        finds = f"It reads the sample as {answer.kind!r}{several}. {MEANING.get(answer.kind, '')}"
    sentences = [
        f"{name}: {answer.element} {answer.edge}-edge EXAFS{background}; chi(k), weighted by {weighted}, was Fourier "
        f"transformed from k = {x['kmin']:g} to {x['kmax']:g} Å^-1 ({x['window']} window, dk = {x['dk']:g} Å^-1).",
        f"The model {answer.family!r} of larch-cnpredict {__version__}, version {answer.model_version}, learnt from "
        "FEFF spectra of structures of the Materials Project, whose sites CrystalNN had labelled.",
        finds,
    ]
    if not answer.one_site_as_told:
        sentences.append(
            "The mean coordination number of all absorbing atoms, by networks that learnt from mixtures and particles "
            f"too, is {answer.cn_mean:.1f} (90 % interval {low:.1f} to {high:.1f})."
        )
    told = [f"the composition {answer.composition}"] if answer.composition else []
    told += [] if answer.request.reference is None else [f"s02 = {answer.request.reference:.2f}"]
    told += ["that the sample is one site"] if answer.request.one_site else []
    if told:
        sentences.append(f"Beside the spectrum, it was told {' and '.join(told)}.")
    if answer.cn_shells:
        sentences.append(f"Known sites whose spectra are most like it have these in two shells: {answer.shells_text}.")
    if answer.kind == ONE_SITE and made.importance[best] > CARRIES:
        ends = (made.importance_r[best] + side * WIDTH / 2 for side in (-1, 1))
        sentences.append(
            "What carries this most is chi(R) from {:.1f} to {:.1f} Å, uncorrected for phase.".format(*ends)
        )
    domain = "The spectrum is like those that the models know."
    if not answer.in_domain:
        domain = f"THIS SPECTRUM IS OUTSIDE WHAT THE MODELS KNOW, and the number is not to be used: {answer.reason}."
    if remarks := answer.notes[not answer.in_domain :]:
        domain = ended(domain) + f" Notes: {'; '.join(remarks)}."
    return " ".join([*sentences, ended(domain), f"To cite: {'; '.join(CITE)}."])
