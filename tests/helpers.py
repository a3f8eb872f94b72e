"""What several test files need and is no fixture."""

from collections.abc import Container
from pathlib import Path

import numpy as np
from larch import Group
from larch.io import AthenaProject

from larch_cnpredict.features import KMAX_DEFAULT, TRANSFORM

EXAMPLES = Path(__file__).parent.parent / "examples"
TRAINING = {**TRANSFORM, "kmax": KMAX_DEFAULT}
WRITTEN = ("cn_predict", "journal")  # what an answer changes in a group


def contents(group: Group, but: Container[str] = ()) -> dict:
    """What a group holds, but for some names, to compare before and after: every value, every bit of every array."""
    out = {}
    for key, value in vars(group).items():
        if key in but:
            continue
        if isinstance(value, Group):
            held: object = contents(value)
        elif isinstance(value, np.ndarray):
            held = (value.dtype.str, value.shape, value.tobytes())
        else:
            held = repr(value)
        out[key] = (id(value), held)
    return out


def athena(path: Path, *groups: Group) -> Path:
    """An Athena project of these groups at this path."""
    project = AthenaProject()
    for group in groups:
        project.add_group(group)
    project.save(str(path))
    return path
