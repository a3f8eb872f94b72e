"""The prediction: what it holds, how it reads, and its way to and from a plain Larch Group.

The group must survive a `.larix` session, which breaks dataclasses, sets, integer keys and object arrays: so only None,
bool, int, float, str, lists and dicts with string keys go into it.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, TextIO

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
    "undecided": "Like the spectra that the models know, but it does not decide: quote the 90 % set and the mean.",
    "unlike": "Told to be one site, but read as several: see to the note on it before you quote a number.",
    "outside": "Outside what the models know: do not use this number before you have seen to this:",
}
HARDLY, NO_NUMBER = 0.2, "no one number"  # below this p the two kinds of network contradict each other
LIKELY = 0.5  # a number less probable than that may be the only one in its set, but not what the sample as a whole says
_FORMULA, _NUMBER = re.compile(r"\s*[=+\-@\t\r]"), re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True, repr=False)
class Prediction:
    """The coordination number of one spectrum, with its uncertainty.

    Attributes
    ----------
    cn : int
        most probable coordination number
    classes, probabilities : list of int, list of float
        the distribution over coordination numbers; only p of `cn` is meant to be read. Where it was lowered, because a
        mixture could look the same, the rest is where the networks of samples find the mean, none with more than `cn`
    cn_mean, cn_std : float
        mean coordination number of all absorbing atoms of the sample, and its standard deviation
    cn_mean_interval : list of float
        [low, high]: the mean is between them for nine of ten samples of which the same `kind` is said, where single
        sites, mixtures and particles count alike; for fewer of the mixtures, see the card
    mixture : float or None
        probability that there is more than one coordination number in the sample
    kind : str
        'one site', 'several sites or phases' or 'particle or strongly disordered'; `cn` is for the first alone
    cn_set, cn_set_each : list of int
        90 % prediction set: the truth is in it for nine of ten simulated spectra like those of the calibration, rare
        numbers less often; made before p is lowered. And a larger one, with a threshold for each number: rare ones are
        kept as often, but do not use it to exclude numbers of 10 and more, of which it still misses more (see the card)
    element, edge, model, family, model_version : str
        the absorber; the model that was asked (`default`), the family that answered (`phase`), its version
    in_domain, domain_score : bool, float
        whether the spectrum resembles what the models were trained on, and nothing else makes the answer doubtful; not
        every doubtful answer is found
    notes : list of str
        why it is not in domain (these come first), and what was done to the spectrum
    xftf, fingerprint : dict, str
        the Fourier transform that was read; what changes with all that the answer depends on, see `is_stale`
    neighbours : list of dict
        the training sites that look most like it, where the composition was told those of its elements before others:
        site, formula, cn, shell, distance
    cn_shells : list of dict
        for split shells, such as 8 + 6 of body-centred cubic metals, the first that EXAFS resolves and the next: count,
        distance (Å), formula of the known site they are of. Empty unless five of the six known sites with this `cn`
        that are most like it have both, and the same counts
    composition, spectrum_probabilities : str, list of float
        what the sample is made of, where it was told and is part of the answer, and the distribution without it
    request : Request
        what was asked: element, edge, model, transform, models, formula, elements, reference (s02), one_site
    """

    cn: int
    cn_mean: float
    cn_std: float
    classes: list[int]
    probabilities: list[float]
    cn_set: list[int]
    element: str
    edge: str
    model: str
    model_version: str
    in_domain: bool
    domain_score: float
    notes: list[str]
    xftf: dict[str, Any]
    fingerprint: str
    neighbours: list[dict[str, Any]] = field(default_factory=list)
    family: str = ""
    cn_mean_interval: list[float] = field(default_factory=list)
    mixture: float | None = None
    kind: str = ONE_SITE
    cn_set_each: list[int] = field(default_factory=list)
    cn_shells: list[dict[str, Any]] = field(default_factory=list)
    composition: str = ""
    spectrum_probabilities: list[float] = field(default_factory=list)
    request: Request = field(default_factory=Request)

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
        return "ok" if len(self.cn_set) == 1 and self.p >= LIKELY and not self.unlike_told else "undecided"

    @property
    def one_site_as_told(self) -> bool:
        """Whether the sample was told to be one site, and nothing in the spectrum says another thing."""
        return self.request.one_site and (self.mixture or 0.0) < 0.5

    @property
    def unlike_told(self) -> bool:
        """Whether it was told to be one site, and is read as several."""
        return self.request.one_site and not self.one_site_as_told

    @property
    def as_one_number(self) -> str:
        """What `cn` is of a sample that has no one number; its set is that of one site, and would only mislead."""
        return f"as one number CN {self.cn} ({p_text(self.p)})" if self.p >= HARDLY else NO_NUMBER

    @property
    def headline(self) -> str:
        """What to quote: 'CN 6', or where no one number describes the sample 'mean CN 8.3 [7.1, 9.4]'."""
        return f"CN {self.cn}" if self.kind == ONE_SITE else f"mean CN {self.mean_text}"

    @property
    def said_short(self) -> str:
        """The headline for a legend, with the verdict where that is no 'ok'."""
        return self.headline if self.verdict == "ok" else f"{self.headline} ({self.verdict})"

    @property
    def advice(self) -> str:
        """How far to trust it, in a sentence."""
        return ADVICE["unlike" if self.verdict == "undecided" and self.unlike_told else self.verdict]

    @property
    def reason(self) -> str:
        """Why it is outside what the models know; empty where it is not."""
        return "" if self.in_domain else (self.notes or ["no reason given"])[0]

    @property
    def set_text(self) -> str:
        """The 90 % set as text, such as '{4, 6}'."""
        return "{" + ", ".join(map(str, self.cn_set)) + "}"

    @property
    def mean_said(self) -> str:
        """What is said of the sample as a whole beside its number."""
        return "one site, as told" if self.one_site_as_told else f"mean {self.mean_text}"

    @property
    def mean_text(self) -> str:
        """The mean and its 90 % interval as text, such as '5.9 [5.6, 6.2]'."""
        return mean_text(self.cn_mean, self.interval)

    @property
    def shells_text(self) -> str:
        """`cn_shells` as text, such as '8 + 6 (2.48 and 2.87 Å in FeCo)'; empty where there are none."""
        counts = " + ".join(str(shell["count"]) for shell in self.cn_shells)
        distances = " and ".join(f"{shell['distance']:.2f}" for shell in self.cn_shells)
        return f"{counts} ({distances} Å in {self.cn_shells[0]['formula']})" if self.cn_shells else ""

    @property
    def interval(self) -> tuple[float, float]:
        """`cn_mean_interval`; for results of earlier versions, which have none, by the standard deviation."""
        low, high = self.cn_mean_interval or (self.cn_mean + sign * 1.645 * self.cn_std for sign in (-1, 1))
        return float(low), float(high)

    def differs(self, other: "Prediction") -> bool:
        """Whether another answer for the same sample says something else: another number, or a mean 0.5 away."""
        if self.kind == other.kind == ONE_SITE:
            return self.cn != other.cn
        return abs(self.cn_mean - other.cn_mean) > 0.5

    def row(self) -> dict[str, str | int | float]:
        """The line of a table: plain cells, under the names that the command line's CSV has too."""
        low, high = self.interval
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
            "kmax": round(self.xftf.get("kmax", float("nan")), 3),
            "cn_shells": self.shells_text.split(" (")[0],
            "mixture": "" if self.mixture is None else round(self.mixture, 3),
            **{name: getattr(self, name) for name in ("model", "family", "model_version")},
            "notes": "; ".join(self.notes),
        }

    def __str__(self) -> str:
        p = f"({p_text(self.p)}, 90 % set {self.set_text})"
        shells = f", shells {self.shells_text}" if self.cn_shells else ""
        one, several = f" {p}, {self.mean_said}{shells}", f", {self.kind}; {self.as_one_number}"
        text = f"{self.element} {self.edge}: {self.headline}{one if self.kind == ONE_SITE else several}"
        return text if self.in_domain else f"{text} — outside what the models know: {self.reason}"

    __repr__ = __str__

    @classmethod
    def from_group(cls, group: Group) -> "Prediction":
        """From `group.cn_predict`, also of a session or an earlier version; a ResultError where it is no result."""
        values = {f.name: getattr(group, f.name) for f in fields(cls) if hasattr(group, f.name)}
        needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
        if missing := sorted(needed - set(values)):
            raise ResultError(f"lacks {', '.join(missing)}")
        try:
            made = cls(**plain(values | {"request": None}) | {"request": Request.stored(group) or Request()})
            str(made), made.row()
        except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
            raise ResultError(f"cannot be read ({error})") from error
        return made


def p_text(p: float) -> str:
    """'p = 0.72', and of nothing that it is certain."""
    return f"p = {p:.2f}" if p < 0.995 else "p > 0.99"


def mean_text(mean: float, interval: Sequence[float]) -> str:
    """'5.9 [5.6, 6.2]'."""
    mean, low, high = (round(value, 3) for value in (mean, *interval))  # as tables have it, or 5.25 is 5.3 here
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def plain(value: Any) -> Any:
    """The same value in types that a `.larix` session keeps."""
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
        return value
    if is_dataclass(value):
        return plain(vars(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} does not survive a Larch session")


def write(group: Group, prediction: Prediction) -> None:
    """Put the prediction on the group as `group.cn_predict`, and a line into its journal."""
    subgroup = Group(**plain(prediction))  # first: if this fails, the group is as it was
    if not hasattr(group, "journal"):
        group.journal = Journal()
    if isinstance(group.journal, Journal):
        asked = [f"{name}={value!r}" for name, value in prediction.request.told]
        words = f"{prediction} [{', '.join([f'model {prediction.model} {prediction.model_version}', *asked])}]"
        last = group.journal.get("cn_predict")
        if last is None or last.value != words:  # `explain` after `predict_cn` says the same again
            group.journal.add("cn_predict", words)
    group.cn_predict = subgroup


def is_stale(group: Group) -> bool:
    """Whether `group.cn_predict` was made from other arrays or settings than the group holds now."""
    made = getattr(group, "cn_predict", None)
    if not isinstance(made, Group):
        return False
    request = Request.stored(made)  # None: an earlier version's
    try:
        with boundary("the group"):
            return request is None or read_spectrum(group, request).fingerprint != getattr(made, "fingerprint", None)
    except CNPredictError:
        return True


def write_table(
    file: TextIO, rows: Iterable[dict[str, Any]], columns: Iterable[str], dialect: str = "excel", line_end: str = "\n"
) -> None:
    """The rows as CSV ('excel') or to be pasted into a spreadsheet ('excel-tab'); a cell that a row lacks is empty."""
    writer = csv.DictWriter(file, list(columns), dialect=dialect, extrasaction="ignore", lineterminator=line_end)
    writer.writeheader()
    writer.writerows(map(safe_cells, rows))


def safe_cells(row: dict[str, Any]) -> dict[str, Any]:
    """The row with text quoted where a spreadsheet would take it for a formula; numbers stay as they are."""
    return {
        key: f"'{value}" if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value
        for key, value in row.items()
    }
