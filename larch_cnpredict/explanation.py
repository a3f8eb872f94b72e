"""Which parts of R carried an answer, by occlusion (Zeiler and Fergus, ECCV 2014), in one batch.

What is taken out of chi(R) is taken out of chi(k) by the same filter: every family of models sees the same missing.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import domain, features
from .errors import boundary
from .models import load_models
from .predict import predict_spectra, read, resolve
from .request import Request
from .result import HARDLY, ONE_SITE, Prediction, is_stale, write
from .spectrum import Spectrum, plain_name, read_spectrum

# Full width of what is taken out; at half its depth it is as wide as a shell's peak in |chi(R)|.
WIDTH = 0.6  # Å
SOME = 0.05  # of ln p: what falls less without a part is not carried by it
CENTERS = np.round(np.arange(features.R_MIN, features.R_MAX + 0.05, 0.1), 1)  # Å
_R_FFT = features.LARCH_R_STEP * np.arange(features.NFFT // 2 + 1)


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why the models answer as they do for one spectrum."""

    prediction: Prediction
    r: np.ndarray  #: (51,) Å: the middle of each part that was taken out
    #: (51,): by how much ln p falls without it, before the sample as a whole lowers p; negative: it speaks against
    importance: np.ndarray
    cn_without: np.ndarray  #: (51,) int: the answer without it
    nearest: np.ndarray  #: (167,) Å^-3: simulated |chi(R)| of the training site most like it, at `features.R_POOLED`

    @property
    def likenesses(self) -> list[str]:
        """The training sites that look most like it, in words."""
        return [
            f"{self.prediction.element} in {known['formula']}, {known['site']}, CN {known['cn']} ({known['shell']}), "
            f"dissimilarity {known['distance']:.2f}"
            for known in self.prediction.neighbours
        ]

    def __str__(self) -> str:
        lines = [str(self.prediction)]
        best = int(self.importance.argmax())
        without, left = self.cn_without[best], np.exp(-self.importance[best])
        low, high = self.r[best] - WIDTH / 2, self.r[best] + WIDTH / 2
        several = self.prediction.kind != ONE_SITE
        number = f"{self.prediction.as_one_number}: " if several else ""
        words = f"{number}carried most by R = {low:.1f} to {high:.1f} Å: without it {left:.0%} of p are left"
        words += f", and CN {without} wins" if without != self.prediction.cn else ""
        if not several or self.prediction.p >= HARDLY:
            lines.append(words if self.importance[best] > SOME else f"{number}no single part of R carries it")
        return "\n".join([*lines, *(f"looks like {words}" for words in self.likenesses[:3])])

    __repr__ = __str__


def explain(
    group: Any, element: str | None = None, edge: str | None = None, model: str | None = None,
    transform: str | None = None, models: str | Path | None = None, _larch: Any = None,
) -> Explanation:  # fmt: skip
    """Say which parts of R carried the coordination number that predict_cn gives, and which known sites look alike.

    Parts of chi(R), 0.6 Å wide, are taken out one by one, and the models are asked again: where ln p of the answer
    falls most, the evidence lies. R is not corrected for phase shift, as in any plot of |chi(R)|. An expert checks
    whether it is the first shell that speaks, and whether the sites named are plausible.

    Parameters
    ----------
    group : Group, or its name
        as for predict_cn
    element, edge, model, transform, models
        as for predict_cn; by default as they were when `group.cn_predict` was made, as formula, elements, reference
        and one_site always are

    Returns
    -------
    Explanation : prediction, r, importance, cn_without, nearest, likenesses; print it for a summary in words. What
        predict_cn writes to the group is written, in the place of what was there, with three more arrays: importance_r
        (Å), importance and nearest
    """
    with boundary("what was given"):
        group = resolve(group, _larch)
        given = {"element": element, "edge": edge, "model": model, "transform": transform, "models": models}
        asked = asdict(Request.stored(getattr(group, "cn_predict", None)) or Request())
        request = Request.checked(**asked | {name: value for name, value in given.items() if value is not None})
        loaded = load_models(request.models, request.model)
        _, spectrum = read(group, request, loaded, _larch)
        (whole,) = predict_spectra([spectrum], request, loaded)
        # p before it is lowered: where little is left of it, it does not fall
        parts = [replace(spectrum, others=()), *occlude(spectrum, 1 - part(CENTERS))]
        sure, *without = predict_spectra(parts, replace(request, one_site=True), loaded)
        column = whole.classes.index(whole.cn)
        p = np.array([answer.probabilities[column] for answer in without])
        nearest = domain.known_magnitude(loaded.domain, whole.element, whole.neighbours[0]["site"])
        numbers = np.array([answer.cn for answer in without])
        out = Explanation(whole, CENTERS.copy(), np.log(sure.p / p), numbers, nearest)
        write(group, whole)
        made = group.cn_predict
        made.importance_r, made.importance, made.nearest = out.r.copy(), out.importance.copy(), out.nearest.copy()
    return out


def explained(group: Any, _larch: Any) -> tuple[str, Prediction, Spectrum, Any]:
    """Name, answer and spectrum of a group, and its cn_predict; `explain` is run where none holds."""
    group = resolve(group, _larch)
    if not hasattr(getattr(group, "cn_predict", None), "nearest") or is_stale(group):
        explain(group)
    answer = Prediction.from_group(group.cn_predict)
    return plain_name(group), answer, read_spectrum(group, answer.request), group.cn_predict


def part(centers: np.ndarray) -> np.ndarray:
    """Smooth windows on the R points of the Fourier transform, 1 in the middle: (n,) Å to (n, 1025)."""
    away = np.abs(_R_FFT - np.asarray(centers)[:, None])
    return np.where(away < WIDTH / 2, np.cos(np.pi * away / WIDTH) ** 2, 0.0)


def occlude(spectrum: Spectrum, factors: np.ndarray) -> list[Spectrum]:
    """The spectrum with its chi(R) multiplied by each of n factors on the R points of the transform; see `part`."""
    if spectrum.k is None or spectrum.chi is None:
        fine = [np.interp(spectrum.r, _R_FFT, factor) for factor in factors]
        return [replace(spectrum, chir_mag=spectrum.chir_mag * factor, others=()) for factor in fine]
    k = features.K_GRID[spectrum.k[-1] + features.KSTEP / 4 > features.K_GRID]
    chi = np.interp(k, spectrum.k, spectrum.chi)
    filtered = np.fft.irfft(np.fft.rfft(chi * k**2, features.NFFT) * factors, features.NFFT)[:, : len(k)]
    # below 1 Å^-1, where no transform reaches, dividing by k^2 would blow up what leaks there
    chis = np.where(k > 1, filtered / np.maximum(k, 1) ** 2, chi)
    n, r = len(factors), features.larch_r()
    tapers = features.windows(np.full(n, spectrum.kmax), np.full(n, k[-1]))
    grid = np.pad(chis, ((0, 0), (0, len(features.K_GRID) - len(k))))
    magnitudes = np.abs(features.chir(grid, tapers, int(features.TRANSFORM["kweight"])))
    return [replace(spectrum, r=r, chir_mag=m, k=k, chi=c, others=()) for m, c in zip(magnitudes, chis, strict=True)]
