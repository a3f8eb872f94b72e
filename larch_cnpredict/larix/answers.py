"""What is known of each group: its result, whether it still holds, or why it failed. No wx."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ..errors import CNPredictError
from ..result import Prediction, is_stale

NOT_YET = "Not predicted yet"
# What a prediction is of. The rest changes too when a group is looked at on another tab, or gets another name.
READ = ("energy", "mu", "k", "chi", "r", "chir_mag", "e0", "ek0", "rbkg", "is_frozen", "atsym", "edge", "element")


class Answers:
    """Results are on the groups; here is what groups do not hold: failures, and when a result was last checked."""

    def __init__(self) -> None:
        self.failures: dict[str, tuple] = {}  # groupname: message, and the stamp of the group that it was about
        self.checked: dict[str, tuple] = {}  # groupname: stamp, whether the result was stale then

    def forget(self, group: Any) -> None:
        """The group is being asked about anew."""
        self.failures.pop(group.groupname, None)
        self.checked.pop(group.groupname, None)

    def failed(self, group: Any, message: str) -> None:
        self.failures.setdefault(group.groupname, (message, stamp_of(group, READ)))

    def answered(self, group: Any) -> None:
        if group.groupname not in self.checked:  # or each step of a batch would look at all that are done
            self.checked[group.groupname] = (stamp_of(group), False)

    def stored(self, group: Any) -> tuple[Prediction | None, str]:
        """The result that the group holds, and why it is not to be shown as the answer ('' where it is)."""
        message, stamp = self.failures.get(group.groupname, ("", None))
        failure = message if message and stamp == stamp_of(group, READ) else ""
        if getattr(group, "cn_predict", None) is None:
            return None, failure or NOT_YET
        try:
            found = Prediction.from_group(group.cn_predict)
        except CNPredictError:
            return None, "The result was written by another version: predict again"
        if not failure and self._is_stale(group):
            failure = f"Stale, predict again: data or settings have changed since {found.headline} was predicted"
            if is_of_other_mu(group):
                failure = "Stale, predict again: mu(E) has changed since chi(k) was made, which is made anew then"
        return found, failure

    def _is_stale(self, group: Any) -> bool:
        """`is_stale` transforms anew: for a table of hundreds, once for each change of a group."""
        stamp = stamp_of(group)
        if self.checked.get(group.groupname, (None, None))[0] != stamp:
            self.checked[group.groupname] = (stamp, is_stale(group) or is_of_other_mu(group))
        return self.checked[group.groupname][1]


def is_of_other_mu(group: Any) -> bool:
    """Whether mu(E) has changed since autobk made chi(k): what it took off mu, and what it left of it, say so.

    Larix' Deglitch, Smooth and Rebin change mu(E) and leave chi(k). What is frozen is to stay as it is.
    """
    arrays: list[Any] = [getattr(group, name, None) for name in ("mu", "bkg", "chie")]
    sound = all(isinstance(array, np.ndarray) and array.dtype.kind in "iuf" and array.ndim == 1 for array in arrays)
    if getattr(group, "is_frozen", False) or not sound:
        return False
    mu, bkg, chie = arrays
    if not mu.shape == bkg.shape == chie.shape:
        return True
    left = mu - bkg  # chie times the edge step that autobk had
    apart = np.abs(left - chie * (left @ chie / max(chie @ chie, np.finfo(float).tiny)))
    return bool(apart.max(initial=0) > 1e-6 * np.abs(left).max(initial=0))


def metadata_of(group: Any) -> tuple:
    """What the user knows of the group, as far as it can be compared in microseconds."""
    own = {name: value for name, value in vars(group).items() if isinstance(value, str | int | float)}
    return own, repr(getattr(group, "attrs", None))


def stamp_of(group: Any, names: Collection[str] = ()) -> int:
    """Changes with everything on the group that a prediction may depend on, or with these only; in microseconds."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.tobytes()
        return round(value, 2) if names and isinstance(value, float) else value  # as other tabs write it back

    values = [
        (name, plain(value))
        for name, value in vars(group).items()
        if isinstance(value, np.ndarray | str | int | float) and (not names or name in names)
    ]
    xftf = getattr(getattr(group, "callargs", None), "xftf", None)
    said = [repr(getattr(group, name, None)) for name in ("attrs", "athena_params")]  # of what it is, and its absorber
    return hash((tuple(values), repr(xftf), *said, id(getattr(group, "cn_predict", None))))
