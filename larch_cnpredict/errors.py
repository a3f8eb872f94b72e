"""Everything that can be wrong, each with the sentence that the user reads.

A constructor takes the things at fault, in the order of the braces in `sentence`; the spectrum's name comes first.
`args` is always the one finished string, which is what Larch's own error display joins and shows.
"""

import copyreg
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def ended(sentence: str) -> str:
    """With one mark at its end, though its last part may be a question, or a sentence itself."""
    return re.sub(r"([.?!])\.+$", r"\1", sentence)


class CNPredictError(Exception):
    """The root: catch this for everything that larch_cnpredict raises."""

    sentence = "{}"

    def __init__(self, *parts: object):
        super().__init__(ended(self.sentence.format(*parts)))

    def __reduce__(self) -> tuple[Any, ...]:
        # constructors take what is at fault, not the message: without this an error could not leave a worker process
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]


class InputError(CNPredictError):
    """Something that is no Larch group was given, or a name that no group has."""

    def __init__(self, given: object):
        what = f"What was given, {type(given).__name__}, is no Larch group"
        what_to_do = "pass one on which autobk and xftf were run (predict_cn also takes r and chir_mag)"
        if isinstance(given, str):
            what = f"There is no group of the name {given!r}"
            what_to_do = "pass a Larch group, or the name of one in the Larch session"
        super().__init__(f"{what}: {what_to_do}.")


class GroupAndArraysError(CNPredictError):
    sentence = "{} cannot be given beside a Larch group, whose own arrays are read: put them on the group."


class MissingArrayError(CNPredictError):
    sentence = "{} has no {}: {}."


class BadArrayError(CNPredictError):
    sentence = "{1} of {0} {2}."


class AbsorberError(CNPredictError):
    """The absorbing element or its edge is unknown, contradictory or not one of the models'."""


class UnknownAbsorberError(AbsorberError):
    sentence = "The absorber of {} is not known: {}; pass it, as in predict_cn(group, element='Fe')."


class AbsorberConflictError(AbsorberError):
    sentence = (
        "{} is labelled {}, but its edge at {:.1f} eV is that of {}: "
        "correct the label or e0, or pass the right element, as in predict_cn(group, element='Fe')."
    )


class UnsupportedAbsorberError(AbsorberError):
    sentence = "{} is {}: the models know the K edges of {} only."


class CompositionError(CNPredictError):
    sentence = "{}."  # what a sample is said to be made of cannot be read, or lacks the absorber


class RangeTooShortError(CNPredictError):
    sentence = "{} {}: {}."  # what of chi(k), or of the transform made of it, does not span what the models need


class TransformError(CNPredictError):
    sentence = (
        "chir_mag of {0} {1}, and {0} has no k and chi to transform anew: "
        "run xftf with {2}, or pass transform='own' to use chir_mag as it is."
    )


class OptionError(CNPredictError):
    """An option has a value that it cannot have."""

    def __init__(self, option: str, given: object, allowed: Iterable[str] | str):
        wanted = f"must be {allowed}" if isinstance(allowed, str) else f"is not one of {', '.join(map(repr, allowed))}"
        super().__init__(f"{option}={given!r} {wanted}.")

    @classmethod
    def check(cls, option: str, given: object, allowed: Sequence[str]) -> None:
        if not isinstance(given, str) or given not in allowed:
            raise cls(option, given, allowed)


class ModelFileError(CNPredictError):
    sentence = "{} {}: reinstall larch-cnpredict, or name another folder of models."  # a file or the folder


class ResultError(CNPredictError):
    sentence = "cn_predict {}: it was written by another version or changed; run predict_cn again."


class FoilError(CNPredictError):
    sentence = "{} gives no s02: {}."  # of a foil


class FeffError(CNPredictError):
    sentence = "FEFF8L made no path {}: {}."  # absorber_neighbour_distance


class FileError(CNPredictError):
    sentence = "{}: {}."  # of a file that cannot be read, processed or written


class SeriesError(CNPredictError):
    sentence = "The series {}: {}."


class UnexpectedError(CNPredictError):
    sentence = "{} cannot be used ({}: {}): look for what is odd in it, and if nothing is, please report this."


def reworded(message: str, words: Iterable[tuple[str, Any]]) -> str:
    """What an error says to those who write Python, said to others: patterns, and what replaces them."""
    for python, theirs in words:
        message = re.sub(python, theirs, message)
    return message


@contextmanager
def boundary(name: str) -> Iterator[None]:
    """Nothing but a CNPredictError leaves: nobody has to catch anything else, whatever is wrong with a group."""
    try:
        yield
    except CNPredictError:
        raise
    except Exception as error:
        raise UnexpectedError(name, type(error).__name__, error) from error
