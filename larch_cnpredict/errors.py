"""Everything that can be wrong, each with the sentence that the user reads.

A constructor takes the things at fault and builds the message; `args` is always that one string, which is what Larch's
own error display joins and shows.
"""

import copyreg
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def _number(value: float) -> str:
    return f"{value:.5g}"


class CNPredictError(Exception):
    """The root: catch this for everything that larch_cnpredict raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # constructors take what is at fault, not the message: without this an error could not leave a worker process
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]


class InputError(CNPredictError):
    """Something that is neither a Larch group nor arrays was given."""

    def __init__(self, given: object, reason: str = ""):
        kind = repr(given) if isinstance(given, str) else type(given).__name__
        reason = f": {reason}" if reason else ""
        super().__init__(f"predict_cn takes a Larch group, or arrays r and chir_mag, not {kind}{reason}.")


class GroupAndArraysError(InputError):
    """Arrays were given beside a group, which has its own."""

    def __init__(self, given: Sequence[str]):
        names = " and ".join(given)
        CNPredictError.__init__(
            self, f"{names} cannot be given beside a Larch group, whose own arrays are read: put them on the group."
        )


class MissingArrayError(CNPredictError):
    """An array that is needed is not there."""

    def __init__(self, name: str, missing: str, what_to_do: str):
        super().__init__(f"{name} has no {missing}: {what_to_do}.")


class BadArrayError(CNPredictError):
    """An array is there but cannot be used: not finite, not one-dimensional, of the wrong length, empty, flat."""

    def __init__(self, name: str, array: str, problem: str):
        super().__init__(f"{array} of {name} {problem}.")


class AbsorberError(CNPredictError):
    """The absorbing element or its edge is unknown, contradictory or not one of the models'."""


class UnknownAbsorberError(AbsorberError):
    """Neither metadata nor edge energy say which element absorbs."""

    def __init__(self, name: str, reason: str):
        super().__init__(
            f"The absorber of {name} is not known: {reason}; pass it, as in predict_cn(group, element='Fe')."
        )


class AbsorberConflictError(AbsorberError):
    """Metadata name one element, the edge energy another."""

    def __init__(self, name: str, said: str, e0: float, found: str):
        super().__init__(
            f"{name} is labelled {said}, but its edge at {e0:.1f} eV is that of {found}: "
            f"correct the label or e0, or pass the right element, as in predict_cn(group, element='Fe')."
        )


class UnsupportedElementError(AbsorberError):
    """An element the models were not trained on."""

    def __init__(self, name: str, element: str, known: Sequence[str], why: str = ""):
        super().__init__(f"{name} is {element}{why}: the models know the K edges of {', '.join(known)} only.")


class UnsupportedEdgeError(AbsorberError):
    """An edge other than K."""

    def __init__(self, name: str, element: str, edge: str, why: str = ""):
        super().__init__(f"{name} is the {element} {edge} edge{why}: the models know K edges only.")


class RangeTooShortError(CNPredictError):
    """chi(k), or the transform made of it, does not span the k range that the models need."""

    def __init__(self, name: str, problem: str, what_to_do: str):
        super().__init__(f"{name} {problem}: {what_to_do}.")


class TransformError(CNPredictError):
    """chi(R) was not made with the training transform and cannot be made anew."""

    def __init__(self, name: str, reason: str, needed: str):
        super().__init__(
            f"chir_mag of {name} {reason}, and {name} has no k and chi to transform anew: "
            f"run xftf with {needed}, or pass transform='own' to use chir_mag as it is."
        )


class OptionError(CNPredictError):
    """An option has a value that it cannot have."""

    def __init__(self, option: str, given: object, allowed: Iterable[object]):
        super().__init__(f"{option}={given!r} is not one of {', '.join(map(repr, allowed))}.")


class UnknownModelError(OptionError):
    """A model name that is not shipped."""

    def __init__(self, model: object, known: Iterable[str]):
        super().__init__("model", model, known)


class ModelFileError(CNPredictError):
    """A shipped model file is damaged: it is refused rather than believed."""

    def __init__(self, path: object, reason: str, what_to_do: str = "reinstall larch-cnpredict"):
        super().__init__(f"Model file {path} {reason}: {what_to_do}.")


class MissingModelsError(CNPredictError):
    """A folder of models is not there."""

    def __init__(self, path: object, reason: str = "is missing"):
        super().__init__(f"The folder of models {path} {reason}: reinstall larch-cnpredict, or name another folder.")


class ResultError(CNPredictError):
    """What a group has as cn_predict is no result of this version."""

    def __init__(self, reason: str):
        super().__init__(f"cn_predict {reason}: it was written by another version or changed; run predict_cn again.")


class UnexpectedError(CNPredictError):
    """Something that nobody thought of."""

    def __init__(self, name: str, error: Exception):
        super().__init__(
            f"{name} cannot be used ({type(error).__name__}: {error}): "
            "look for what is odd in it, and if nothing is, please report this."
        )


class FileError(CNPredictError):
    """A data file that cannot be read or processed."""

    def __init__(self, path: object, reason: object):
        super().__init__(f"{path}: {reason}.")


@contextmanager
def boundary(name: str) -> Iterator[None]:
    """Nothing but a CNPredictError leaves: nobody has to catch anything else, whatever is wrong with a group."""
    try:
        yield
    except CNPredictError:
        raise
    except Exception as error:
        raise UnexpectedError(name, error) from error
