"""What was asked about a spectrum: kept with the answer, so that the same question can be asked again."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .errors import OptionError

BEFORE = {"element", "edge", "model", "transform", "models"}  # all that earlier versions kept


@dataclass(frozen=True)
class Request:
    """The options of `predict_cn` that an answer depends on."""

    element: Any = None  # the absorber, where it was not left to the group
    edge: Any = None
    model: str = "default"
    transform: str = "auto"
    models: str | None = None  # folder of models, where not the shipped ones
    formula: str | None = None  # what the sample is made of; '': not even what the header of the data says
    elements: str | None = None
    reference: Any = None  # s02, told or of a foil; in Larix what the user typed for it
    one_site: bool = False  # whether the sample is known to be one

    @classmethod
    def checked(cls, models: Any, **options: Any) -> "Request":
        """From what a user gave; the rest is checked with the spectrum and with the models."""
        OptionError.check("transform", options["transform"], ("auto", "own", "training"))
        if models is not None:
            try:
                models = str(Path(models).expanduser().absolute())
            except (TypeError, ValueError, RuntimeError):
                raise OptionError("models", models, "None or the path of a folder") from None
        for option in ("formula", "elements"):
            if options[option] is not None and not isinstance(options[option], str):
                raise OptionError(option, options[option], "a text such as 'Na2CrO4' (formula) or 'Na Cr O' (elements)")
        if not isinstance(options["one_site"], bool | np.bool_):
            raise OptionError("one_site", options["one_site"], "True or False")
        return cls(models=models, **options | {"one_site": bool(options["one_site"])})

    @property
    def told(self) -> list[tuple[str, Any]]:
        """What was told of the sample."""
        told = [(name, getattr(self, name)) for name in ("formula", "elements", "reference", "one_site")]
        return [(name, value) for name, value in told if value is not None and value is not False]

    @classmethod
    def stored(cls, made: Any) -> "Request | None":
        """What was asked when `made`, a group's cn_predict, was written; None where it does not say."""
        values = getattr(made, "request", None)
        if not isinstance(values, dict) or not BEFORE <= set(values) <= {f.name for f in fields(cls)}:
            return None
        kinds = {"reference": int | float, "one_site": bool}
        known = all(value is None or isinstance(value, kinds.get(name, str)) for name, value in values.items())
        return cls(**values) if known else None
