"""s02 from a foil that was measured like the sample: the amplitude that a known number of neighbours has there."""

from typing import Any, NamedTuple

import numpy as np
from larch import Group, isgroup
from larch.fitting import param, param_group
from larch.xafs import feffit, feffit_dataset, feffit_transform

from .absorber import as_number
from .errors import FoilError, MissingArrayError, OptionError
from .feff import feff_paths
from .request import Request
from .spectrum import Spectrum, read_spectrum

# Lattice constants a and c in Å at room temperature: CRC Handbook of Chemistry and Physics, crystal structures of the
# elements. Not there: manganese, of no simple crystal; zinc, the far half of whose shell no sigma2 describes (three
# foils: s02 from 1.2 to 1.5).
METALS = {
    "Sc": ("hcp", 3.309, 5.268), "Ti": ("hcp", 2.951, 4.684), "V": ("bcc", 3.024, 0), "Cr": ("bcc", 2.885, 0),
    "Fe": ("bcc", 2.867, 0), "Co": ("hcp", 2.507, 4.069), "Ni": ("fcc", 3.524, 0), "Cu": ("fcc", 3.615, 0),
}  # fmt: skip
BASIS = {
    "fcc": [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)],
    "bcc": [(0, 0, 0), (0.5, 0.5, 0.5)],
    "hcp": [(0, 0, 0), (1 / 3, 2 / 3, 0.5)],
}
HALVES = 1.04  # nearest distances: where the second half begins
SHELL = 1.2  # nearest distances: both halves of what bcc has for a first shell
CLUSTER = 7.0  # Å
SOUND = (0.4, 1.2)  # no foil has an s02 beyond; what has one was thick, or is something else
# feffit's R factor: of 18 measured foils of seven metals 0.0002 to 0.011, of the first shells of compounds up to 0.046,
# but in MnO
BAD_FIT = 0.05


KEPT = 100
_found: dict[str, tuple[float, float]] = {}  # s02 and R factor of foils, by their fingerprints


class Reference(NamedTuple):
    """s02 where it is known, and the metal and name of the foil that it is from, where it is from one."""

    s02: float | None = None
    absorber: str | None = None
    name: str = ""


def read_reference(given: Any) -> Reference:
    """A number as it is; of a foil's group with k and chi what Larch's feffit finds for its first shell.

    That has as many neighbours as the metal has; s02, e0, a change of all distances and sigma2 are fitted.
    """
    if not isgroup(given):
        s02 = as_number(given)
        if s02 is None or not SOUND[0] <= s02 <= SOUND[1]:
            raise OptionError("reference", given, f"a foil's group, or an s02 from {SOUND[0]} to {SOUND[1]}")
        return Reference(s02)
    spectrum = read_spectrum(given, Request(formula=""))
    if spectrum.chi is None:
        raise MissingArrayError(spectrum.name, "k and chi", "feffit reads them; run autobk")
    if spectrum.element not in METALS:
        raise FoilError(spectrum.name, f"no shell of {spectrum.element} metal tells it; give s02 as a number")
    if (found := _found.get(spectrum.fingerprint)) is None:
        fit = fit_foil(spectrum)
        if len(_found) >= KEPT:
            _found.clear()
        found = _found[spectrum.fingerprint] = round(float(fit.params["s02"].value), 3), float(fit.rfactor)
    s02, rfactor = found
    if rfactor > BAD_FIT or not SOUND[0] <= s02 <= SOUND[1]:
        said = f"as {spectrum.element} metal it fits with s02 = {s02:.2f} and an R factor of {rfactor:.2f}"
        raise FoilError(spectrum.name, f"{said}, so it is no thin foil of that metal")
    return Reference(s02, spectrum.element, spectrum.name)


def fit_foil(spectrum: Spectrum) -> Group:
    """feffit of the first shell of a metal; of bcc both halves of it, with a sigma2 each."""
    absorber, k = spectrum.element, np.asarray(spectrum.k)
    lattice, a, c = METALS[absorber]
    cell = np.array([[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]) if lattice == "hcp" else np.eye(3) * a
    grid = np.indices((11, 11, 11)).reshape(3, -1).T - 5
    points = np.concatenate([(grid + place) @ cell for place in BASIS[lattice]])
    away = np.linalg.norm(points, axis=1)
    points, away = points[away < CLUSTER], away[away < CLUSTER]
    nearest = np.sort(away)[1]
    paths = feff_paths(f"{absorber} foil", [absorber] * len(points), points, SHELL * nearest)
    for path in paths:
        path.s02, path.e0, path.deltar = "s02", "e0", f"stretch * {path.reff:.4f}"
        path.sigma2 = "sigma2_far" if path.reff > HALVES * nearest else "sigma2"
    two = any(path.sigma2 == "sigma2_far" for path in paths)
    params = param_group(
        s02=param(0.85, min=0, max=2, vary=True),
        e0=param(0.0, min=-20, max=20, vary=True),
        stretch=param(0.0, min=-0.05, max=0.05, vary=True),
        sigma2=param(0.006, min=0, max=0.03, vary=True),
        sigma2_far=param(0.008, min=0, max=0.03, vary=two),
    )
    read = {name: spectrum.xftf[name] for name in ("kmin", "dk", "window")}
    ends = {"kmax": min(spectrum.kmax, k[-1]), "rmin": nearest - 1.0, "rmax": max(p.reff for p in paths) + 0.2}
    transform = feffit_transform(**read, **ends, kweight=[2, 1, 3])
    data = Group(k=k, chi=spectrum.chi)
    return feffit(params, feffit_dataset(data=data, paths=paths, transform=transform))
