"""Coordination numbers from EXAFS spectra, for Larch and Larix.

`predict_cn(group)` reads chi(R) of a group after `autobk` and `xftf`. Names are loaded on first use, so that importing
the package costs a Larch start-up nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_HOME = {
    "cn_report": "report",
    "predict_cn": "predict",
    "explain": "explanation",
    "plot_cn": "plot",
    "plot_cn_series": "series",
    "cn_components": "components",
    "first_shell": "feffit_start",
    "plot_cn_compare": "plot",
    "Prediction": "result",
    "register": "larch_hooks",
    "CNPredictError": "errors",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
