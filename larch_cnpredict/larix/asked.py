"""What is asked about a group: what stands on the tab for it, which is kept with the group. No wx."""

from typing import Any

from larch import Group

from .. import composition
from ..absorber import element_symbol
from ..errors import CNPredictError
from ..request import Request
from .table import AUTO, ONE, PANEL, TITLES


def options(dgroup: Any) -> dict[str, str]:
    """What stands on the tab for this group."""
    asked = Request.stored(getattr(dgroup, "cn_predict", None))  # by a command, or in another Larix
    return as_typed(dgroup, asked or Request()) | kept(dgroup)


def kept(dgroup: Any) -> dict[str, str]:
    return getattr(getattr(dgroup, "config", None), PANEL, None) or {}


def keep(dgroup: Any, **changed: str) -> None:
    if not hasattr(dgroup, "config"):
        dgroup.config = Group(__name__="larix config")
    setattr(dgroup.config, PANEL, kept(dgroup) | changed)


def request(dgroup: Any, model: str, transform: str) -> Request:
    """The options of `predict_cn` for what stands on the tab."""
    typed = options(dgroup)
    return Request(
        element=None if typed["absorber"] == AUTO else typed["absorber"],
        model=model,
        transform=transform,
        reference=s02_asked(typed["s02"]),
        one_site=typed["one_site"] == ONE,
        **composition_asked(typed["formula"], in_header=composition.header_formula(dgroup)),
    )


def as_typed(dgroup: Any, asked: Request) -> dict[str, str]:
    """What would stand on the tab for what was asked about this group."""
    usual = {"absorber": AUTO, "formula": composition.header_formula(dgroup), "one_site": AUTO, "s02": ""}
    given = {"absorber": asked.element, "formula": asked.elements or asked.formula, "s02": asked.reference}
    given["one_site"] = ONE if asked.one_site else None
    return usual | {name: str(value) for name, value in given.items() if value is not None}


def unlike(dgroup: Any, before: Request) -> str:
    """What stands on the tab otherwise than it would for what was asked before, by its name there."""
    now, then = options(dgroup), as_typed(dgroup, before)

    def value(name: str, text: str) -> Any:
        return s02_asked(text) if name == "s02" else text.strip()

    return " and ".join(title for name, title in TITLES.items() if value(name, now[name]) != value(name, then[name]))


def composition_asked(text: str, in_header: str) -> dict[str, str]:
    """The option of `predict_cn` for what stands at Formula; none where it is the header's, which it reads itself."""
    if text.strip() == in_header:
        return {}
    try:
        first = composition.APART.split(text.strip())[0]
        several = len(composition.read("elements", text, "", element_symbol(first) or first).amounts) > 1
    except CNPredictError:
        several = False
    return {"elements" if several else "formula": text.strip()}


def s02_asked(text: str) -> float | str | None:
    """The number that stands at s02, None where nothing does, or what is no number: `predict_cn` would look it up."""
    try:
        return float(text.replace(",", ".")) if text.strip() else None
    except ValueError:
        return text.strip()
