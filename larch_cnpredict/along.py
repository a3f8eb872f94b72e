"""Coordination numbers along a series of spectra."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CNPredictError, SeriesError, boundary
from .predict import current_answers, resolve
from .result import Prediction
from .scans import positions
from .spectrum import plain_name, spectrum_name

if TYPE_CHECKING:
    from .components import Components


@dataclass(frozen=True, repr=False)
class Series:
    """The answers along a series: one entry for each group that has one, in the order that was given."""

    groups: list[Any]
    x: np.ndarray
    label: str  #: what x is, such as 'temperature (K)'
    answers: list[Prediction]
    left_out: list[str]  #: a sentence for each group that is not in it
    points: list[tuple[Any, list[int]]] = field(default_factory=list)  # what is drawn, and of which groups
    components: "Components | None" = None  #: where `plot_cn_series` has looked for them

    def picked(self, event: Any) -> Any:
        """The group of the point that was clicked, from matplotlib's pick_event; None where it is none."""
        return next((self.groups[rows[event.ind[0]]] for artist, rows in self.points if artist is event.artist), None)

    def rows(self) -> list[dict[str, Any]]:
        """The series as a table: plain cells, those of `Prediction.row` with the group's name and x before them."""
        lines = zip(self.groups, self.x, self.answers, strict=True)
        label = f"x: {self.label}" if self.label in {"group", *self.answers[0].row()} else self.label
        return [{"group": plain_name(group), label: float(x), **made.row()} for group, x, made in lines]


def cn_series(groups: Any, x: Any = None, _larch: Any = None) -> Series:
    """The answers of a series without the figure; see `plot_cn_series`."""
    with boundary("the series"):
        if not isinstance(groups, list | tuple) or not groups:
            raise SeriesError("is no list of groups", "name them as in plot_cn_series([first, second])")
        members = [resolve(one, _larch) for one in groups]
        places, label = positions(members, x)
        answers = current_answers(members, errors="collect")
        kept, left_out = [], []
        for group, place, made in zip(members, places, answers, strict=True):
            if isinstance(made, CNPredictError):
                left_out.append(str(made))
            elif place is None:
                left_out.append(f"{spectrum_name(group)} has no {x}.")
            else:
                kept.append((group, place, made))
        if not kept:
            failures = (made for made in answers if isinstance(made, CNPredictError))
            raise next(failures, SeriesError("has no point to draw", " ".join(left_out)))
        drawn, at, good = zip(*kept, strict=True)
        return Series(list(drawn), np.array(at, dtype=float), label, list(good), left_out)
