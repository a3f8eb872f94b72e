"""What several test files need and is no fixture."""

from pathlib import Path

from larch import Group

EXAMPLES = Path(__file__).parent.parent / "examples"
TRAINING = {"kmin": 3, "kmax": 12, "kweight": 2, "dk": 1, "window": "hanning"}


def contents(group: Group) -> dict:
    """What a group holds, to compare before and after: every name, every value, every element."""
    out = {}
    for key, value in vars(group).items():
        if isinstance(value, Group):
            out[key] = (id(value), contents(value))
        else:
            out[key] = (id(value), repr(value.tolist() if hasattr(value, "tolist") else value))
    return out
