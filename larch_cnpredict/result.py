"""The prediction: what it holds, how it reads, and its way to and from a plain Larch Group.

The group must survive a `.larix` session, which breaks dataclasses, sets, integer keys and object arrays: so only None,
bool, int, float, str, lists and dicts with string keys go into it.
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from larch import Group, Journal

from .errors import CNPredictError, ResultError, boundary
from .request import Request
from .spectrum import read_spectrum

ONE_SITE, SEVERAL, PARTICLE = KINDS = ("one site", "several sites or phases", "particle or strongly disordered")
MEANING = {
    SEVERAL: "The absorbing atoms do not all have the same number of neighbours: the mean is over all of them.",
    PARTICLE: "Atoms at surfaces have fewer neighbours than those inside, and disorder hides some of these: "
    "the mean is over all absorbing atoms.",
}
ADVICE = {
    "ok": "Like the spectra that the models know: one number is left in the 90 % set.",
    "several": "No one number describes this sample: quote the mean with its 90 % interval.",
    "undecided": "Like the spectra that the models know, but it does not decide: quote the 90 % set, not one number.",
    "outside": "Outside what the models know: do not use this number before you have seen to this:",
}
_FORMULA, _NUMBER = re.compile(r"\s*[=+\-@\t\r]"), re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True, repr=False)
class Prediction:
    """The coordination number of one spectrum, with its uncertainty."""

    cn: int  #: most probable coordination number
    classes: list[int]  #: the coordination numbers that there are
    probabilities: list[float]  #: of each of them
    #: 90 % prediction set: the truth is in it for nine of ten spectra like those of the calibration, rare numbers less
    #: often
    cn_set: list[int]
    #: a larger one that holds every number nine times in ten: what is not in it can be ruled out
    cn_set_each: list[int]
    cn_mean: float  #: mean coordination number of all absorbing atoms of the sample
    cn_std: float  #: its standard deviation
    #: [low, high]: the mean is between them for nine of ten samples like those of the calibration
    cn_mean_interval: list[float]
    mixture: float  #: probability that there is more than one coordination number in the sample
    kind: (
        str  #: 'one site', 'several sites or phases' or 'particle or strongly disordered'; `cn` is for the first alone
    )
    element: str  #: the absorber
    edge: str  #: its edge, 'K'
    model: str  #: that was asked, such as 'default'
    family: str  #: that answered, such as 'phase'
    model_version: str  #: of the models
    in_domain: (
        bool  #: the spectrum is like those that the models learnt from, and nothing else makes the answer doubtful
    )
    domain_score: float  #: how far out it is; above 1 is outside
    notes: list[str]  #: why it is not in domain (these come first), and what was done to the spectrum
    xftf: dict[str, Any]  #: the Fourier transform that was read
    fingerprint: str  #: changes with all that the answer depends on, see `is_stale`
    neighbours: list[dict[str, Any]]  #: training sites that look most like it: site, formula, cn, shell, distance
    composition: str  #: what the sample is made of, where it was told and is part of the answer; else empty
    spectrum_probabilities: list[float]  #: where it is, the probabilities without it
    request: Request  #: what was asked: element, edge, model, transform, models, formula, elements

    @property
    def p(self) -> float:
        """Probability of `cn`."""
        return self.probabilities[self.classes.index(self.cn)]

    @property
    def verdict(self) -> str:
        """How far to trust it, in a word for tables: 'ok', 'several', 'undecided' or 'outside'."""
        if not self.in_domain:
            return "outside"
        if self.kind != ONE_SITE:
            return "several"
        return "ok" if len(self.cn_set) == 1 else "undecided"

    @property
    def headline(self) -> str:
        """What to quote: 'CN 6', or where no one number describes the sample 'mean CN 8.3 [7.1, 9.4]'."""
        return f"CN {self.cn}" if self.kind == ONE_SITE else f"mean CN {self.mean_text}"

    @property
    def advice(self) -> str:
        """How far to trust it, in a sentence."""
        return ADVICE[self.verdict]

    @property
    def reason(self) -> str:
        """Why it is outside what the models know; empty where it is not."""
        return "" if self.in_domain else (self.notes or ["no reason given"])[0]

    @property
    def set_text(self) -> str:
        """The 90 % set as text, such as '{4, 6}'."""
        return "{" + ", ".join(map(str, self.cn_set)) + "}"

    @property
    def mean_text(self) -> str:
        """The mean and its 90 % interval as text, such as '5.9 [5.6, 6.2]'."""
        low, high = self.cn_mean_interval
        return f"{self.cn_mean:.1f} [{low:.1f}, {high:.1f}]"

    @property
    def interval(self) -> list[float]:
        """`cn_mean_interval`, for short."""
        return self.cn_mean_interval

    def row(self) -> dict[str, str | int | float]:
        """The line of a table: plain cells, under the names that the command line's CSV has too."""
        low, high = self.cn_mean_interval
        return {
            "absorber": f"{self.element} {self.edge}",
            "cn": self.cn,
            "p": round(self.p, 4),
            "cn_set": " ".join(map(str, self.cn_set)),
            "cn_mean": round(self.cn_mean, 3),
            "cn_mean_low": round(low, 3),
            "cn_mean_high": round(high, 3),
            "kind": self.kind,
            "in_domain": "yes" if self.in_domain else "no",
            "verdict": self.verdict,
            "cn_std": round(self.cn_std, 3),
            "mixture": round(self.mixture, 3),
            **{name: getattr(self, name) for name in ("model", "family", "model_version")},
            "notes": "; ".join(self.notes),
        }

    def __str__(self) -> str:
        p = f"(p = {self.p:.2f}, 90 % set {self.set_text})"
        one, several = f" {p}, mean {self.mean_text}", f", {self.kind}; were it one site, CN {self.cn} {p}"
        text = f"{self.element} {self.edge}: {self.headline}{one if self.kind == ONE_SITE else several}"
        return text if self.in_domain else f"{text} — outside what the models know: {self.reason}"

    __repr__ = __str__

    def to_group(self) -> Group:
        """As a Larch Group of plain values."""
        return Group(**plain(asdict(self)))

    @classmethod
    def from_group(cls, group: Group) -> "Prediction":
        """From `group.cn_predict`, also of a session; a ResultError where it is no result of this version."""
        if missing := sorted(f.name for f in fields(cls) if not hasattr(group, f.name)):
            raise ResultError(f"lacks {', '.join(missing)}")
        if (request := Request.stored(group)) is None:
            raise ResultError("does not say what was asked")
        values = {f.name: getattr(group, f.name) for f in fields(cls) if f.name != "request"}
        try:
            made = cls(**plain(values), request=request)
            str(made), made.row()
        except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
            raise ResultError(f"cannot be read ({error})") from error
        return made


def plain(value: Any) -> Any:
    """The same value in types that a `.larix` session keeps, which are those of JSON."""
    return json.loads(json.dumps(value, default=_of_numpy))


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not survive a Larch session")


def write(group: Group, prediction: Prediction) -> None:
    """Put the prediction on the group as `group.cn_predict`, and a line into its journal."""
    subgroup = prediction.to_group()  # first: if this fails, the group is as it was
    if not hasattr(group, "journal"):
        group.journal = Journal()
    if isinstance(group.journal, Journal):
        words = f"{prediction} [model {prediction.model} {prediction.model_version}]"
        last = group.journal.get("cn_predict")
        if last is None or last.value != words:  # `explain` after `predict_cn` says the same again
            group.journal.add("cn_predict", words)
    group.cn_predict = subgroup


def is_stale(group: Group) -> bool:
    """Whether `group.cn_predict` was made from other arrays or settings than the group holds now."""
    made = getattr(group, "cn_predict", None)
    if not isinstance(made, Group):
        return False
    try:
        with boundary("the group"):
            answer = Prediction.from_group(made)
            return read_spectrum(group, answer.request).fingerprint != answer.fingerprint
    except CNPredictError:  # of the group, or the result is no result of this version
        return True


def safe_cells(row: dict[str, Any]) -> dict[str, Any]:
    """The row with text quoted where a spreadsheet would take it for a formula; numbers stay as they are."""
    return {
        key: f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
        for key, value in row.items()
    }
