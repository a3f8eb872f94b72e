"""Measures the FEFF8L work: what settings change, what mu(E) costs, where the time goes, what a cluster would need.

python -m benchmarks.feff [--structures TABLE] [--sites 30] [--scf 6] [--paths FOLDER ...]

With folders in which stages have kept paths: what single scattering costs and misses, with pairs from these.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from larch import Group
from tqdm import tqdm

from build_models import config
from build_models.config import FeffSettings
from build_models.data import paths, single, sources, structures
from build_models.data.feff import TO_PATHS, FeffError, feff_input, run_chain, run_paths, scratch_folder, variants
from build_models.data.labels import label_structure
from build_models.data.materials_project import chi_from_mu
from build_models.spectra.augment import first_shell
from larch_cnpredict import CNPredictError, predict_cn
from larch_cnpredict.features import K_GRID, KMAX_DEFAULT, transform

ALL_SITES = 170_000  # distinct 3d sites of the Materials Project in cells of up to 80 atoms
STATIC = FeffSettings(debye_temperatures=())


def difference(chi: np.ndarray, reference: np.ndarray, low: float = 1.0, high: float = 6.0) -> float:
    """Of |chi(R)| between two distances in Å, relative to the reference."""
    r, expected = transform(K_GRID, reference, KMAX_DEFAULT)
    _, got = transform(K_GRID, chi, KMAX_DEFAULT)
    inside = (r >= low) & (r <= high)
    return float(np.linalg.norm((got - expected)[inside]) / np.linalg.norm(expected[inside]))


def choose(table: Path, number: int) -> list[tuple]:
    """The first distinct site of each structure: the order of work mixes absorbers and kinds of structure."""
    rows = [(row, structures.to_structure(row)) for row in structures.iterate(table, 2 * number)]
    labelled = [(structure, label_structure(row["material_id"], structure)) for row, structure in rows]
    return [(structure, label[0]["site_index"], label[0]) for structure, label in labelled if label][:number]


def timed(structure, site: int, settings: FeffSettings) -> tuple[np.ndarray | None, float, dict[str, float]]:
    """chi(k), where there is one, the processor time of it all, and that of each program."""
    times: dict[str, float] = {}
    start, chi = sum(os.times()[:4]), None  # of this process and of those that it ran
    try:
        text = feff_input(structure, site, settings)
        with scratch_folder() as folder:
            for program in TO_PATHS:
                before = sum(os.times()[2:4])
                run_chain(folder, text, settings.time_limit, [program])
                times[program] = sum(os.times()[2:4]) - before
            chi = variants(paths.read(folder), settings)
    except FeffError as error:
        print(f"{structure.composition.reduced_formula}: {error}")
    return chi, sum(os.times()[:4]) - start, times


def predicted(chi: np.ndarray, absorber: str) -> int | None:
    """Coordination number that the shipped models give, where they are there."""
    try:
        return predict_cn(Group(k=K_GRID, chi=chi, groupname="feff"), element=absorber, edge="K").cn
    except CNPredictError:
        return None


def compare(name: str, sites: list[tuple], reference: list[np.ndarray], settings: FeffSettings, workers: int) -> None:
    results = Parallel(workers)(delayed(timed)(structure, site, settings) for structure, site, _ in tqdm(sites, name))
    done = [i for i, (chi, _, _) in enumerate(results) if chi is not None]
    pairs = [(results[i][0][-1], reference[i], sites[i][2]["absorber"]) for i in done]
    errors = np.array([difference(chi, expected) for chi, expected, _ in pairs])
    changed = sum(predicted(chi, absorber) != predicted(expected, absorber) for chi, expected, absorber in pairs)
    print(
        f"{name}: |chi(R)| differs by {np.median(errors):.1%} (median), {errors.max():.1%} (largest) over 1-6 Å in "
        f"{len(done)} of {len(sites)} sites; predicted coordination number changes in {changed}; "
        f"{np.mean([used for _, used, _ in results]):.1f} s a site"
    )


def mu_route(sites: list[tuple]) -> None:
    errors = []
    for structure, site, _ in tqdm(sites, "mu(E)"):
        with scratch_folder() as folder:
            try:
                run_chain(folder, feff_input(structure, site, replace(STATIC, kmax=20.0)), STATIC.time_limit)
            except FeffError:
                continue
            energy, k, mu, chi = np.loadtxt(folder / "xmu.dat", usecols=(0, 2, 3, 5)).T
            errors.append(difference(chi_from_mu(energy, mu), np.interp(K_GRID, k, chi), 1.0, 4.0))
    print(f"chi from mu(E), as for Materials Project documents: |chi(R)| differs from FEFF's own over 1-4 Å by "
          f"{np.median(errors):.1%} (median), {max(errors):.1%} (largest) in {len(errors)} sites")  # fmt: skip


def without_feff(sites: list[tuple], reference: list[np.ndarray], folders: list[Path], each: float) -> None:
    """Single scattering with pairs from kept paths, beside FEFF's spectra of the same sites at 650 K."""
    files, warm = tuple(file for folder in folders for file in paths.kept(folder)), FeffSettings()
    single.pairs(files)  # read once, and not in the time of a site
    place = 1 + warm.debye_temperatures.index(650.0)
    start = time.process_time()
    made = [variants(single.scattering(files, crystal, site, warm), warm)[place] for crystal, site, _ in sites]
    took = (time.process_time() - start) / len(sites)
    for low, high in ((1.0, 3.0), (3.0, 6.0)):
        errors = [difference(chi, wanted, low, high) for chi, wanted in zip(made, reference, strict=True)]
        print(f"single scattering: |chi(R)| differs by {np.median(errors):.1%} (median), {max(errors):.1%} (largest) "
              f"over {low:g}-{high:g} Å in {len(errors)} sites")  # fmt: skip
    print(f"{1000 * took:.1f} ms a site where FEFF8L takes {each:.2f} s: {each / took:.0f} times as fast")


def first_shells(sites: list[tuple]) -> None:
    """A sigma2 of its own for the first shell, as training has it by a filter in R, beside the same path by path."""
    settings, sigma2, errors = FeffSettings(debye_temperatures=(450.0,)), 0.006, []
    for structure, site, label in tqdm(sites, "first shells"):
        try:
            run = run_paths(structure, site, settings)
        except FeffError:
            continue
        end = np.array([max(float(word.split(":")[1]) for word in label["neighbours"].split())])
        first = (run.legs == 2) & (run.reff < end + 0.02)
        warm = np.where(first, sigma2, paths.debye(run, settings.temperature, settings.debye_temperatures)[0])
        static, damped = variants(run, settings)[:, None]
        shell = first_shell(static, end) * np.exp(-2 * sigma2 * K_GRID**2)
        errors.append(difference((shell + damped - first_shell(damped, end))[0], paths.chi(run, warm), 1.0, 3.0))
    middle, largest = np.median(errors), max(errors)
    print(f"first shells by a filter: |chi(R)| differs by {middle:.1%} (median), {largest:.1%} (largest) over 1-3 Å in "
          f"{len(errors)} sites")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=Path, help="structures.parquet of a run; without it, from AMCSD")
    parser.add_argument("--sites", type=int, default=30)
    parser.add_argument("--scf", type=int, default=30, help="sites that are also done with SCF (10 to 60 s each)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--paths", type=Path, nargs="+", default=[], help="folders with kept paths")
    arguments = parser.parse_args()
    table = arguments.structures
    if table is None:
        run = {"out": "models-build/benchmark", "limit": 2 * arguments.sites}
        table = sources.fetch(config.load(None, {"run": run}))
    sites = choose(table, arguments.sites)

    start = time.perf_counter()
    one = [timed(structure, site, FeffSettings()) for structure, site, _ in tqdm(sites, "one process")]
    alone = len(sites) / (time.perf_counter() - start)
    start = time.perf_counter()
    Parallel(arguments.workers)(delayed(timed)(structure, site, FeffSettings()) for structure, site, _ in sites)
    together = len(sites) / (time.perf_counter() - start)
    seconds = {program: sum(times.get(program, 0.0) for _, _, times in one) for program in one[0][2]}
    each = float(np.mean([used for _, used, _ in one]))
    print(
        f"{each:.2f} s of processor time a site, {1 / each:.2f} sites a second and core; all {ALL_SITES} distinct 3d "
        f"sites on 64 cores: {ALL_SITES * each / 64 / 3600:.1f} h"
    )
    print(
        f"by the clock, which means something on an idle machine only: {alone:.2f} sites a second in one process, "
        f"{together:.2f} in {arguments.workers}, parallel efficiency {together / alone / arguments.workers:.0%}"
    )
    print("time in " + ", ".join(f"{program} {s / sum(seconds.values()):.0%}" for program, s in seconds.items()))

    kept = [(site, chi[4]) for site, (chi, _, _) in zip(sites, one, strict=True) if chi is not None]
    sites, reference = [site for site, _ in kept], [chi for _, chi in kept]
    if arguments.paths:
        without_feff(sites, reference, arguments.paths, each)
    warm = FeffSettings(debye_temperatures=(650.0,))
    compare("RPATH 8 for 6.5", sites, reference, replace(warm, rpath=8.0, cluster_radius=8.6), arguments.workers)
    mu_route(sites)
    first_shells(sites)
    if arguments.scf:
        few, scf = slice(arguments.scf), replace(warm, scf_radius=4.0, time_limit=300.0)
        compare("SCF 4.0 for none", sites[few], reference[few], scf, arguments.workers)


if __name__ == "__main__":
    main()
