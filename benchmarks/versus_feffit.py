"""predict_cn beside the classical way: a fit of the first shell with Larch's feffit, told the structure.

    python -m benchmarks.versus_feffit --measured FOLDER [--cache FOLDER]

The folder holds index.csv and spectra of energy and mu. The fit gets FEFF8L paths of the known crystal structure, and
frees what an expert would: s02 = 0.9; one scale for N, sigma2, delr and e0 free, shared by the paths of a split shell;
k weights 1, 2 and 3; k from 3 to 12 Å^-1 or where the noise begins; R around the shell. predict_cn is not told
the structure. Both start after autobk.
"""

import argparse
import csv
import os
import shutil
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from larch import Group
from larch.fitting import param, param_group
from larch.xafs import autobk, feffit, feffit_dataset, feffit_transform, feffpath, pre_edge, xftf
from pymatgen.core import Lattice, Structure
from tqdm import tqdm

from build_models.config import FeffSettings
from build_models.data.feff import feff_input, run_chain, scratch_folder
from larch_cnpredict import CNPredictError, predict_cn
from larch_cnpredict.features import KMAX_DEFAULT, TRANSFORM

S02, KMIN = 0.9, TRANSFORM["kmin"]


@dataclass
class Known:
    """A structure: space group, cell (Å), asymmetric unit; the first shell's end, Å.

    `fitted` is the end of the paths of the fit, in Å, where more than the shell that is counted lies under its peak.
    """

    space_group: str
    cell: Lattice
    sites: list[tuple]
    shell: float
    fitted: float = 0.0

    def structure(self) -> Structure:
        symbols, places = [site[0] for site in self.sites], [site[1:] for site in self.sites]
        orbits: dict[str, Sequence] = {"orbit": range(len(symbols))}
        return Structure.from_spacegroup(self.space_group, self.cell, symbols, places, site_properties=orbits)


cubic, tetragonal, hexagonal, orthorhombic = Lattice.cubic, Lattice.tetragonal, Lattice.hexagonal, Lattice.orthorhombic


def corundum(metal: str, a: float, c: float, z: float, x: float) -> Known:
    return Known("R-3c", hexagonal(a, c), [(metal, 0, 0, z), ("O", x, 0, 0.25)], 2.4)


def rocksalt(metal: str, a: float) -> Known:
    return Known("Fm-3m", cubic(a), [(metal, 0, 0, 0), ("O", 0.5, 0.5, 0.5)], 2.5)


def close_packed(metal: str, a: float, c: float, shell: float) -> Known:
    return Known("P6_3/mmc", hexagonal(a, c), [(metal, 1 / 3, 2 / 3, 0.25)], shell)


# Room-temperature cells and coordinates as textbooks have them; K2CrO4 and goethite from single-crystal refinements.
# In body-centred metals the second shell lies under the first peak: both are fitted, the first is counted.
STRUCTURES = {
    "Cu": Known("Fm-3m", cubic(3.615), [("Cu", 0, 0, 0)], 2.8),
    "Ni": Known("Fm-3m", cubic(3.524), [("Ni", 0, 0, 0)], 2.8),
    "Co": close_packed("Co", 2.507, 4.069, shell=2.8),
    "Ti": close_packed("Ti", 2.951, 4.684, shell=3.2),
    "Zn": close_packed("Zn", 2.665, 4.947, shell=3.2),
    "Fe": Known("Im-3m", cubic(2.866), [("Fe", 0, 0, 0)], 2.7, fitted=3.0),
    "Cr": Known("Im-3m", cubic(2.885), [("Cr", 0, 0, 0)], 2.7, fitted=3.0),
    "V": Known("Im-3m", cubic(3.024), [("V", 0, 0, 0)], 2.8, fitted=3.2),
    "Cr2O3": corundum("Cr", 4.958, 13.594, 0.3475, 0.306),
    "Fe2O3": corundum("Fe", 5.036, 13.749, 0.3553, 0.306),
    "V2O3": corundum("V", 4.952, 14.003, 0.3463, 0.3118),
    "MnO": rocksalt("Mn", 4.445),
    "NiO": rocksalt("Ni", 4.177),
    "MnO2": Known("P4_2/mnm", tetragonal(4.398, 2.873), [("Mn", 0, 0, 0), ("O", 0.3046, 0.3046, 0)], 2.3),
    "EuTiO3": Known("Pm-3m", cubic(3.905), [("Eu", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), ("O", 0.5, 0.5, 0)], 2.3),
    "FeS2": Known("Pa-3", cubic(5.418), [("Fe", 0, 0, 0), ("S", 0.3848, 0.3848, 0.3848)], 2.6),
    "CuO": Known(
        "C2/c", Lattice.monoclinic(4.684, 3.423, 5.129, 99.54), [("Cu", 0.25, 0.25, 0), ("O", 0, 0.4184, 0.25)], 2.3,
    ),
    "ZnO": Known("P6_3mc", hexagonal(3.250, 5.207), [("Zn", 1 / 3, 2 / 3, 0), ("O", 1 / 3, 2 / 3, 0.382)], 2.3),
    "ZnCO3": Known("R-3c", hexagonal(4.653, 15.026), [("Zn", 0, 0, 0), ("C", 0, 0, 0.25), ("O", 0.2764, 0, 0.25)], 2.4),
    "Fe3O4": Known("Fd-3m", cubic(8.396), [("Fe", 0, 0, 0), ("Fe", *3 * [0.625]), ("O", *3 * [0.3799])], 2.4),
    "Mn3O4": Known(
        "I4_1/amd", tetragonal(5.765, 9.442),
        [("Mn", 0, 0, 0), ("Mn", 0, 0.25, 0.625), ("O", 0, 0.278, -0.134)], 2.5,
    ),
    "goethite": Known(
        "Pnma", orthorhombic(9.95, 3.01, 4.62),
        [("Fe", 0.1459, 0.25, -0.0486), ("O", -0.1983, 0.25, 0.2875), ("O", -0.0530, 0.25, -0.1979)], 2.4,
    ),
    "K2CrO4": Known(
        "Pnma", orthorhombic(7.663, 5.922, 10.391),
        [
            ("K", 0.6656, 0.25, 0.4144), ("K", -0.0106, 0.25, 0.6996), ("Cr", 0.2291, 0.25, 0.4208),
            ("O", 0.0154, 0.25, 0.4215), ("O", 0.3010, 0.25, 0.5699), ("O", 0.3018, 0.0250, 0.3478),
        ], 2.0,
    ),
}  # fmt: skip


def feff_paths(compound: str, known: Known, element: str, cache: Path) -> tuple[list[tuple[Path, float]], float]:
    """feffNNNN.dat of each kind of site and the share of the element that is on it; processor seconds of FEFF.

    Kept in the cache: a folder of that name is complete.
    """
    structure, out, seconds = known.structure(), [], 0.0
    orbits = [site.properties["orbit"] for site in structure if site.specie.symbol == element]
    for orbit in sorted(set(orbits)):
        folder = cache / f"{compound}-{element}-{orbit}"
        if not folder.exists():
            index = next(i for i, site in enumerate(structure) if site.properties["orbit"] == orbit)
            text = feff_input(structure, index, FeffSettings(rpath=4.0))
            with scratch_folder() as scratch:
                before = os.times()
                run_chain(scratch, text.replace("PRINT 1 0 0 0 0 0", "PRINT 1 0 0 0 0 3"), 120.0)
                unfinished = folder.with_suffix(".part")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                for path in scratch.glob("feff[0-9]*.dat"):
                    shutil.copy(path, unfinished)
                taken = os.times().children_user - before.children_user
                (unfinished / "seconds").write_text(f"{taken:.2f}")
                unfinished.rename(folder)
        seconds += float((folder / "seconds").read_text())
        out += [(path, orbits.count(orbit) / len(orbits)) for path in sorted(folder.glob("feff*.dat"))]
    return out, seconds


def first_shell(paths: list[tuple[Path, float]], known: Known) -> tuple[list[Group], float]:
    """The single-scattering paths of the fit, and how many neighbours they stand for in the shell that is counted."""
    read = [(feffpath(str(path)), share) for path, share in paths]
    used = [(p, share) for p, share in read if p.nleg == 2 and p.reff < (known.fitted or known.shell)]
    for i, (path, share) in enumerate(used):
        path.degen *= share
        path.label, path.s02, path.e0, path.deltar, path.sigma2 = f"path{i}", f"{S02} * scale", "e0", "delr", "sigma2"
    return [path for path, _ in used], sum(path.degen for path, _ in used if path.reff < known.shell)


def fit(group: Group, paths: list[Group], number: float, kmax: float) -> dict[str, float]:
    """Number of neighbours in the first shell, its uncertainty, and the other variables."""
    distances = [path.reff for path in paths]
    rmin = max(1.0, min(distances) - 0.9)  # below 1 Å, autobk has taken everything
    enough = rmin + 4 * np.pi / 2 / (kmax - KMIN)  # for four variables
    window = {"rmin": rmin, "rmax": max(max(distances) + 0.1, enough)}
    transform = feffit_transform(kmin=KMIN, kmax=kmax, kweight=[1, 2, 3], dk=1, window="hanning", **window)
    start = {"scale": param(1.0, vary=True), "sigma2": param(0.005, vary=True)}
    parameters = param_group(e0=param(0.0, vary=True), delr=param(0.0, vary=True), **start)
    result = feffit(parameters, feffit_dataset(data=group, paths=paths, transform=transform))
    scale = result.params["scale"]
    others = {name: result.params[name].value for name in ("e0", "delr", "sigma2")}
    return others | {
        "number": number * scale.value,
        "error": number * (scale.stderr if scale.stderr is not None else np.nan),
        "s02": S02 * scale.value,  # that would make the known number right
    }


def variables(fits: dict[str, list[dict[str, float]]]) -> None:
    """What FEFF8L's paths need to look like measured ones: how `build_models.spectra.augment` chooses its ranges."""
    print(f"what the fits find, {len(fits)} compounds (s02: as if the known number were right)")
    for name, unit in (("s02", ""), ("e0", " eV"), ("delr", " Å"), ("sigma2", " Å^2")):
        values = np.array([np.mean([one[name] for one in group]) for group in fits.values()])
        print(f"    {name:6s} median {np.median(values):.4g}{unit}, mean {values.mean():.4g}, standard deviation "
              f"{values.std():.2g}, {values.min():.4g} to {values.max():.4g}")  # fmt: skip


def timed(function, *arguments):
    start = time.process_time()  # of the processor, so that what else the machine does has no part in it
    return function(*arguments), time.process_time() - start


def read(path: Path) -> Group:
    energy, mu = np.loadtxt(path, unpack=True)
    group = Group(energy=energy, mu=mu, filename=path.name)
    pre_edge(group)
    autobk(group, rbkg=1.0, kweight=2)
    xftf(group, kmax=KMAX_DEFAULT, **TRANSFORM)
    return group


def report(title: str, results: dict[str, list[tuple[float, ...]]]) -> None:
    """Means over compounds, each counted once; and how well the fit would do with the one s02 that suits it best."""
    if not results:
        return

    def errors(estimate) -> np.ndarray:
        return np.array([np.mean([abs(estimate(*row) - row[0]) for row in rows]) for rows in results.values()])

    wrong, asked = errors(lambda truth, n, *_: n), errors(lambda truth, n, cn, *_: cn)
    others = {s02: errors(lambda truth, n, *_: n * S02 / s02).mean() for s02 in np.arange(0.5, 1.2, 0.01)}  # noqa: B023
    best = min(others, key=others.__getitem__)
    slow, feff, fast = np.mean([np.mean(rows, axis=0)[3:] for rows in results.values()], axis=0)
    print(f"{title}, {len(results)} compounds")
    print(f"    mean |error| of the fit {wrong.mean():.2f} (median {np.median(wrong):.2f}); "
          f"{others[best]:.2f} if s02 were {best:.2f}, chosen to suit the truth")  # fmt: skip
    print(f"    mean |error| of cn_mean {asked.mean():.2f} (median {np.median(asked):.2f})")
    print(f"    processor time: fit {slow * 1e3:.0f} ms, FEFF before it {feff * 1e3:.0f} ms, "
          f"predict_cn {fast * 1e3:.1f} ms; ratio {slow / fast:.0f}, with FEFF {(slow + feff) / fast:.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, required=True, help="folder of index.csv and the spectra")
    parser.add_argument("--cache", type=Path, default="models-build/versus_feffit", help="keeps the paths of FEFF")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    index = arguments.measured / "index.csv"
    if not index.exists():
        parser.exit(message=f"{index} is missing: nothing to compare\n")
    with index.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    skipped = sorted({row["structure_key"] for row in rows} - set(STRUCTURES))
    fits: dict[str, list] = defaultdict(list)
    results: dict[str, dict[str, list]] = {"int": defaultdict(list), "all": defaultdict(list)}
    lines = [f"{'spectrum':22s} truth    N(fit)  ±err |error|    ms | cn_mean  cn |error|    ms"]
    for n, row in enumerate(tqdm([row for row in rows if row["structure_key"] in STRUCTURES], "spectra")):
        compound, element, truth = row["structure_key"], row["element"], float(row["cn"])
        files, feff = feff_paths(compound, STRUCTURES[compound], element, arguments.cache)
        paths, number = first_shell(files, STRUCTURES[compound])
        group = read(arguments.measured / row["file"])
        kmax = min(12.0, float(row["kmax_noise_suggest"] or 12), float(group.k[-1]))
        found, slow = timed(fit, group, paths, number, kmax)
        fitted = found["number"]
        fits[f"{element} {compound}"].append(found)
        try:
            if n == 0:
                predict_cn(group)  # loads the models
            answer, fast = timed(predict_cn, group)
        except CNPredictError as reason:
            lines.append(f"{row['file']:22s} {truth:5.2f} {reason}")
            continue
        left = f"{truth:5.2f}  {fitted:8.2f} {found['error']:5.2f} {abs(fitted - truth):7.2f} {slow * 1e3:5.0f}"
        right = f"{answer.cn_mean:7.2f} {answer.cn:3d} {abs(answer.cn_mean - truth):7.2f} {fast * 1e3:5.1f}"
        lines.append(f"{row['file']:22s} {left} | {right}")
        for kind in ("all", "int") if row["cn_kind"] == "int" else ("all",):
            results[kind][f"{element} {compound}"].append((truth, fitted, answer.cn_mean, slow, feff, fast))
    print("\n".join(lines))
    for compound in skipped:
        print(f"{compound}: skipped, its structure is not in this file")
    report("one site", results["int"])
    report("all", results["all"])
    variables(fits)


if __name__ == "__main__":
    main()
