"""chi(k) of one site from FEFF8L, the program of Larch's wheel."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import psutil  # comes with Larch
from pymatgen.core import Element, Structure

from build_models.config import FeffSettings
from build_models.data import paths
from build_models.data.paths import Paths
from larch_cnpredict.features import K_GRID

PREFIX = "cnfeff-"
SCRATCH = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())  # in memory where it can be
_PRODUCTS = {
    "rdinp": "geom.json", "pot": "pot.pad", "xsph": "phase.pad", "pathfinder": "paths.dat", "genfmt": "feff.pad",
    "ff2x": "chi.dat",
}  # fmt: skip
TO_PATHS = tuple(_PRODUCTS)[:-1]  # all but ff2x


class FeffError(Exception):
    """FEFF gave no chi(k) for a site; the message is the reason that the table records."""


def feff_input(structure: Structure, site_index: int, settings: FeffSettings) -> str:
    """The feff.inp of one absorber: sites nearest first, one potential for each element.

    Five decimals are part of the recipe: where symmetry makes paths equal, the sixth decides which of them FEFF's
    pathfinder joins, and so which it keeps. chi(k) below 3 Å^-1 then differs by up to 13 %, |chi(R)| by 1 to 2 %.
    """
    center = structure[site_index]
    sites = structure.get_sites_in_sphere(center.coords, settings.cluster_radius)
    sites = sorted(sites, key=lambda site: site.nn_distance)[1 : settings.max_atoms]
    if not sites:
        raise FeffError(f"no atom within {settings.cluster_radius:g} Å of the absorber")
    if sites[0].nn_distance < 0.5:
        raise FeffError(f"two atoms are {sites[0].nn_distance:.2f} Å apart")
    potentials: dict[str, int] = {}
    atoms = []
    for site in sites:
        symbol = site.specie.symbol
        ipot = potentials.setdefault(symbol, len(potentials) + 1)
        x, y, z = site.coords - center.coords
        atoms.append(f"{x:.5f} {y:.5f} {z:.5f} {ipot} {symbol} {site.nn_distance:.5f}")
    absorber = center.specie.symbol
    scf = [f"SCF {settings.scf_radius:g}"] if settings.scf_radius else []
    return "\n".join(
        [
            "TITLE x", "EDGE K", "S02 1.0", "CONTROL 1 1 1 1 1 1", "PRINT 1 0 0 0 0 0",
            f"EXAFS {settings.kmax:g}", f"RPATH {settings.rpath:g}", f"NLEG {settings.nleg}", "EXCHANGE 0", *scf,
            "POTENTIALS", f"0 {Element(absorber).Z} {absorber}",
            *(f"{ipot} {Element(symbol).Z} {symbol}" for symbol, ipot in potentials.items()),
            "ATOMS", f"0 0 0 0 {absorber} 0.0", *atoms, "END", "",
        ]
    )  # fmt: skip


def run_paths(structure: Structure, site_index: int, settings: FeffSettings) -> Paths:
    """The scattering paths: FEFF without ff2x, whose sum `variants` makes for any temperature."""
    with scratch_folder() as folder:
        run_chain(folder, feff_input(structure, site_index, settings), settings.time_limit, TO_PATHS)
        try:
            return paths.read(folder)
        except ValueError as error:
            raise FeffError(f"genfmt: {error}") from None


def variants(scattering: Paths, settings: FeffSettings) -> np.ndarray:
    """chi(k) of the paths: static, then one for each Debye temperature."""
    if scattering.k[-1] < K_GRID[-1] - 0.06:
        raise FeffError(f"genfmt: feff.pad ends at k = {scattering.k[-1]:g}")
    warm = paths.debye(scattering, settings.temperature, settings.debye_temperatures)
    chis = paths.chi(scattering, np.vstack([np.zeros(len(scattering.reff)), warm]))
    highest = np.abs(chis).max()  # not a number where one of them is none
    if not 0 < highest < np.finfo(np.float16).max:  # tables hold half precision
        raise FeffError(f"genfmt: the highest chi is {highest:g}")
    return chis


def run_chain(folder: Path, text: str, time_limit: float, programs: Iterable[str] = tuple(_PRODUCTS)) -> None:
    """The programs of FEFF8L on one feff.inp; their files, of ff2x chi.dat and xmu.dat, are left in the folder."""
    (folder / "feff.inp").write_text(text)
    for program in programs:
        _run(program, folder, time_limit)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, named after its process and removed."""
    prefix = f"{PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=SCRATCH, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def sweep_scratch() -> None:
    """Remove the folders that killed processes left behind."""
    for folder in SCRATCH.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _executable(program: str) -> str:
    from larch.utils import bindir

    name = f"feff8l_{program}" + (".exe" if sys.platform == "win32" else "")
    path = Path(bindir, name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: this Larch has no FEFF8L; install xraylarch from PyPI")
    return str(path)


def _run(program: str, folder: Path, time_limit: float) -> None:
    late = FeffError(f"{program}: over the time limit of {time_limit:g} s")
    pipes: dict = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    limited, limit = hasattr(psutil.Process, "rlimit"), int(np.ceil(time_limit))
    with subprocess.Popen([_executable(program)], cwd=folder, **pipes) as process:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
            if limited:  # the kernel ends an endless loop, even where our own process was killed meanwhile
                psutil.Process(process.pid).rlimit(psutil.RLIMIT_CPU, (limit, limit))
        try:  # a busy machine may give it little time: where the kernel counts, the clock does not
            output, _ = process.communicate(timeout=None if limited else 10 * time_limit)
        except subprocess.TimeoutExpired:
            raise late from None
        finally:
            process.kill()
    if process.returncode in (-9, -24):  # SIGKILL, SIGXCPU: the limit
        raise late
    if process.returncode or not (folder / _PRODUCTS[program]).exists():  # FEFF often stops with exit code 0
        lines = [line.strip() for line in output.decode("ascii", "replace").splitlines()]
        reason = next((line for line in lines if "rror" in line), lines[-1] if lines else "no message")
        raise FeffError(f"{program}: exit {process.returncode}, {reason[:120]}")
