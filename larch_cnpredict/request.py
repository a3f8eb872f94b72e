"""What was asked about a spectrum: kept with the answer, so that the same question can be asked again."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .errors import OptionError


@dataclass(frozen=True)
class Request:
    """The options of `predict_cn` that an answer depends on."""

    element: Any = None  # the absorber, where it was not left to the group
    edge: Any = None
    model: str = "default"
    transform: str = "auto"
    models: str | Path | None = None  # folder of models, where not the shipped ones
    formula: str | None = None  # what the sample is made of; '': not even what the header of the data says
    elements: str | None = None

    def checked(self) -> "Request":
        """What a user gave, if it can be asked; the rest is checked with the spectrum and with the models."""
        OptionError.check("transform", self.transform, ("auto", "own", "training"))
        for option, given in (("formula", self.formula), ("elements", self.elements)):
            if not isinstance(given, str | None):
                raise OptionError(option, given, "a text such as 'Na2CrO4' (formula) or 'Na Cr O' (elements)")
        try:
            return self if self.models is None else replace(self, models=str(Path(self.models).expanduser().absolute()))
        except (TypeError, ValueError, RuntimeError):
            raise OptionError("models", self.models, "None or the path of a folder") from None

    @classmethod
    def stored(cls, made: Any) -> "Request | None":
        """What was asked when `made`, a group's cn_predict, was written; None where it does not say."""
        values = getattr(made, "request", None)
        if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
            return None
        return cls(**values) if all(isinstance(value, str | None) for value in values.values()) else None
