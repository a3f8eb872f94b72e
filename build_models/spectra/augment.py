"""From FEFF's ideal chi(k) to what a beamline measures: all of it on chi(k), before the transform."""

from dataclasses import dataclass

import numpy as np
from larch.xafs.xafsutils import KTOE
from scipy import fft

from build_models.config import ConfigError, FeffSettings
from build_models.spectra import background
from build_models.spectra.dataset import Dataset
from larch_cnpredict.absorber import k_edge
from larch_cnpredict.features import K_GRID, KMAX_DEFAULT, KMAX_RANGE

N_FFT = 1024
# K, of the absorber, in alloys too: what displaces atoms at 293 K as far as the phonons of the metal do, by the data
# library of NCrystal 4.4.6 (X.-X. Cai and T. Kittelmann, Comput. Phys. Commun. 246 (2020) 106851). It has no Mn and no
# Co: these, after K. A. Gschneidner, Solid State Physics 16 (1964) 275, are 0.89 and 0.87 of Kittel's low-temperature
# values (Introduction to Solid State Physics), as those of the others from Ti to Cu are 0.81 to 0.93.
DEBYE_TEMPERATURE = {
    "Sc": 326, "Ti": 373, "V": 354, "Cr": 513, "Mn": 363, "Fe": 433, "Co": 386, "Ni": 385, "Cu": 318, "Zn": 210,
}  # fmt: skip
DEBYE_SPREAD = 0.2  # of its logarithm: other temperatures than FEFF's 300 K, alloys, and what the model leaves out
# s02 goes by the absorber, 0.7 to 0.8 for Mn and Fe and 0.9 for Cu: fits that the Ifeffit mailing list has (J. J. Rehr,
# October 2002, and others, April 2012) and those of `benchmarks.versus_feffit`. M. Roy, S. J. Gurman and G. van Dorssen
# (J. Phys. IV France 7 (1997) C2-151) calculate a dependence on the atomic number, too.
S02 = {
    "Sc": 0.7, "Ti": 0.7, "V": 0.7, "Cr": 0.7, "Mn": 0.7, "Fe": 0.75, "Co": 0.8, "Ni": 0.85, "Cu": 0.9, "Zn": 0.9,
}  # fmt: skip
S02_SPREAD = 0.11  # about these; with it all ten together are as wide as where one mean serves them all
# These fits are of first shells, from 3 to 12 Å^-1: what broadening and mu0 take from them, in the middle, is in s02.
R_OF_S02, K_OF_S02 = 2.0, 7.0  # Å, Å^-1
# What zero-point motion leaves of sigma2 at room temperature: tanh(theta / 600 K) of Einstein's model, for theta of 220
# to 330 K (metals, far shells) and of 520 to 750 K (bonds to non-metals).
ZERO_POINT, OF_BONDS = (0.35, 0.5), (0.7, 0.85)
# What sigma2 goes with far above zero, K^-2: of the ideal crystal, and of FEFF's Debye temperatures, the stiffest first
SOFTNESS = np.append(0, np.sort(np.array(FeffSettings().debye_temperatures) ** -2.0))
R_OF_FFT = (np.pi / (N_FFT * K_GRID[1]) * np.arange(N_FFT // 2 + 1)).astype(np.float32)


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what differs between FEFF's chi(k) and a measured one; zero switches a piece off.

    Amplitude, E0, distance and sigma2 of the first shell are as wide as `benchmarks.versus_feffit` finds them when it
    fits FEFF8L's paths of known structures: s02 0.53 to 1.2, mostly near 0.7 from Sc to Mn and 0.9 for Cu and Zn;
    e0 from -6 to 16 eV, mean 3; distances 0.01 to 0.02 Å short, and those of DFT crystals are about 1 % long.
    """

    ideal: float = 0.0  # share of spectra that stay as FEFF made them
    thermal: bool = True  # beyond the first shell: between FEFF's Debye variants, path by path
    shell_sigma2: tuple[float, float] = (0.0045, 0.6)  # Å^2: median and logarithmic spread of the first shell's sigma2
    metals_by_debye: bool = False  # where all first neighbours are metals, every path by the element's own temperature
    cold: float = 0.1  # share of spectra from near 0 K
    broadening: float = 0.03  # Å^-1: largest loss with distance beyond FEFF's core hole and mean free path
    mu0_power: float = 3.0  # autobk divides by one edge step, though mu0 falls as a power of E: the largest power
    s02: tuple[float, float] = (0.78, 0.14)  # mean and standard deviation; also thickness and edge-step errors
    s02_by_absorber: bool = False  # means of `S02` and `S02_SPREAD` in its place
    over_absorption: float = 0.05  # share of all spectra that lose, in fluorescence, up to half of their amplitude
    e0_shift: tuple[float, float] = (3.0, 5.0)  # eV, mean and standard deviation
    pre_edge: tuple[float, float] = (0.1, 15.0)  # share with e0 on a pre-edge peak (Cr(VI)), and how low at most, eV
    stretch: tuple[float, float] = (-0.01, 0.012)  # the same of relative distances: DFT's cells, FEFF's phases, heat
    noise: tuple[float, float] = (2e-4, 6e-3)  # of chi at k = 10 Å^-1, log-uniform
    glitches: float = 0.05  # share of spectra with one or two points that are off
    residue: float = 0.02  # of chi at k = 3 Å^-1: slow waves that are not EXAFS, before autobk
    autobk: bool = True  # what autobk's spline makes of it all
    mixture: float = 0.15  # share of spectra that average two sites of one absorber
    kmax: tuple[float, float] = KMAX_RANGE


# As far in k as the models go.
IDEAL = Augmentation(ideal=1.0, mixture=0.0, kmax=(KMAX_RANGE[1], KMAX_RANGE[1]))
# Ideal but for small errors of amplitude, E0 and distance: a network that sees a spectrum again and again learns it by
# heart.
NEAR_IDEAL = Augmentation(
    ideal=0.15, thermal=False, broadening=0.0, mu0_power=0.0, s02=(1.0, 0.05), over_absorption=0.0, e0_shift=(0.0, 1.5),
    pre_edge=(0.0, 0.0), stretch=(0.0, 0.01), noise=(1e-4, 2e-3), glitches=0.0, residue=0.0, autobk=False, mixture=0.0,
    kmax=IDEAL.kmax,
)  # fmt: skip


def augment(
    data: Dataset,
    rows: np.ndarray,
    rng: np.random.Generator,
    how: Augmentation,
    mixed: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, ...]:
    """One spectrum of each site: chi, (n, 361) float32 on `K_GRID`; kmax of the transform and end of the data, (n,).

    `mixed`, places in `rows` and shares (`partners`), are mixed to them as a beam does it: before all that it does.
    """
    n = len(rows)
    kmax, kend = limits(n, rng, how.kmax)
    ideal = rng.random(n) < how.ideal
    chi = data.variants[rows, 0].astype(np.float32)
    real = np.flatnonzero(~ideal)
    if len(real):
        chi[real] = in_the_sample(data, rows[real], rng, how)
    if mixed:
        chi = mix(chi, *mixed)
    if len(real):
        chi[real] = at_the_beamline(chi[real], data.elements[rows[real]], kend[real], rng, how)
    return chi, kmax, kend


def in_the_sample(data: Dataset, rows: np.ndarray, rng: np.random.Generator, how: Augmentation) -> np.ndarray:
    """chi(k) of each site at some temperature."""
    variants, shell_end = data.variants[rows], data.shell_end[rows]
    static = variants[:, 0].astype(np.float32)
    if not how.thermal:
        return static
    first, metals, n = first_shell(static, shell_end), data.metallic[rows], len(rows)
    is_cold = rng.random(n) < how.cold
    cold, bonds = (np.where(is_cold, rng.uniform(*left, n), 1) for left in (ZERO_POINT, OF_BONDS))
    softness = np.interp(rng.uniform(0, len(SOFTNESS) - 1, n), np.arange(len(SOFTNESS)), SOFTNESS)
    rest = _thermal(variants, softness * cold)
    rest -= first_shell(rest, shell_end)
    median, spread = how.shell_sigma2
    sigma2 = median * np.exp(spread * rng.normal(0, 1, n)) * np.where(metals, cold, bonds)
    chi = first * np.exp(-2 * sigma2[:, None] * K_GRID**2) + rest
    if how.metals_by_debye:
        theta = np.array([DEBYE_TEMPERATURE[e] for e in data.elements[rows]]) * rng.lognormal(0, DEBYE_SPREAD, n)
        chi[metals] = _thermal(variants[metals], (cold * theta**-2.0)[metals])
    return chi.astype(np.float32)


def at_the_beamline(
    chi: np.ndarray,
    elements: np.ndarray,
    kend: np.ndarray,
    rng: np.random.Generator,
    how: Augmentation,
    s02: np.ndarray | None = None,
) -> np.ndarray:
    """The same as it is measured and reduced: amplitude (`s02`, or as it comes), edge energy, distances, noise."""
    n = len(chi)
    if how.broadening:
        loss = rng.uniform(0, how.broadening, (n, 1)).astype(np.float32)
        chi = _filtered(chi, np.exp(-2 * loss * (R_OF_FFT - R_OF_S02)))
    amplitude = draw_s02(elements, rng, how) if s02 is None else s02
    amplitude = amplitude * np.where(rng.random(n) < how.over_absorption, rng.uniform(0.5, 1, n), 1)
    chi = chi * amplitude[:, None].astype(np.float32) * _mu0(elements, rng.uniform(0, how.mu0_power, n))
    chi = shift(chi, _e0_shift(n, rng, how), 1 + rng.normal(*how.stretch, n))
    if how.noise[1]:
        chi += _noise(n, rng, how.noise)
    if how.glitches:
        _add_glitches(chi, rng, how.glitches)
    if how.residue:
        chi += _residue(n, rng, how.residue)
    return background.remove(chi, kend, rng) if how.autobk else chi


def draw_s02(elements: np.ndarray, rng: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Amplitudes, with what thickness and edge step make of them."""
    mean, spread = how.s02
    means = np.full(len(elements), mean)
    if how.s02_by_absorber:
        means, spread = np.array([S02[element] for element in elements]), S02_SPREAD
    return np.clip(rng.normal(means, spread), 0.4, 1.2)


def first_shell(chi: np.ndarray, shell_end: np.ndarray) -> np.ndarray:
    """The part of chi(k) below the end of the first shell in R.

    The correlated Debye model with one temperature for all pairs damps metal-oxygen bonds far too much: measured sigma2
    of a first shell is 0.002 to 0.010 Å^2 whatever the Debye temperature of the lattice is. So the first shell is taken
    out, to get a sigma2 of its own. Peaks of |chi(R)| lie 0.4 Å below the distance, and are as wide. With 0.006 Å^2 in
    the paths of the first shell alone, |chi(R)| from 1 to 3 Å is another by 4.6 % (median of 100 sites, `python -m
    benchmarks.feff`): little beside the 18 % by which s02 differs, and most tables hold no paths.
    """
    return _filtered(chi, 1 / (1 + np.exp(np.clip((R_OF_FFT - shell_end[:, None]) / 0.05, -50, 50))))


def weaken_far_shells(chi: np.ndarray, shell_end: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As in an oxide particle of a nanometre, or of a site on a support: far shells are weak."""
    reach = rng.uniform(0.7, 4, (len(chi), 1))  # Å
    return _filtered(chi, np.exp(-np.maximum(R_OF_FFT - shell_end[:, None], 0) / reach))


def _filtered(chi, pass_r):
    """chi(k) with k^2 chi multiplied by `pass_r` in R."""
    weight = (np.maximum(K_GRID, 0.5) ** 2).astype(np.float32)
    filtered = fft.irfft(fft.rfft(chi * weight, N_FFT) * pass_r.astype(np.float32), N_FFT)
    return filtered[:, : len(K_GRID)] / weight


def _mu0(elements, power):
    """mu0(E) beyond the edge, relative to its value where s02 is found."""
    edge = np.array([k_edge(e) for e in elements])[:, None]
    rise = (edge + KTOE * K_GRID**2) / (edge + KTOE * K_OF_S02**2)
    return (rise ** -power[:, None]).astype(np.float32)


def _thermal(variants, softness):
    """FEFF's correlated Debye model, all paths alike: each row between the two of its variants that are next to it.

    What is softer than the softest is as that one: two in five of zinc metal.
    """
    if variants.shape[1] != len(SOFTNESS):
        raise ConfigError(f"the tables need chi(k) of {len(SOFTNESS) - 1} Debye temperatures, as by default")
    variants = variants[:, [0, *range(len(SOFTNESS) - 1, 0, -1)]]  # the ideal crystal first, then the stiffest
    place = np.interp(softness, SOFTNESS, np.arange(len(SOFTNESS)))
    below = np.minimum(place.astype(int), len(SOFTNESS) - 2)
    share, rows = (place - below)[:, None].astype(np.float32), np.arange(len(variants))
    return (1 - share) * variants[rows, below] + share * variants[rows, below + 1]


def _e0_shift(n, rng, how):
    """E0 misplaced: mostly by a few eV; sometimes a pre-edge peak was taken for the edge, so that e0 is too low."""
    share, depth = how.pre_edge
    return rng.normal(*how.e0_shift, n) + np.where(rng.random(n) < share, rng.uniform(0, depth, n), 0.0)


def shift(chi, e0_shift, stretch):
    """Read chi(k) where an edge energy off by e0_shift (eV) and distances off by a factor would put it."""
    k2 = K_GRID**2 - e0_shift[:, None] / KTOE
    place = np.sqrt(np.maximum(k2, 0)) * stretch[:, None] / K_GRID[1]
    place = np.minimum(place, len(K_GRID) - 1.001)
    low = place.astype(np.int32)
    share = (place - low).astype(np.float32)
    left, right = np.take_along_axis(chi, low, 1), np.take_along_axis(chi, low + 1, 1)
    return left + share * (right - left)


def _add_glitches(chi, rng, share):
    """Single points that are off, as at a Bragg glitch of the monochromator that was not cut out."""
    for _ in range(2):
        rows = np.flatnonzero(rng.random(len(chi)) < share / 2)
        at = rng.integers(60, chi.shape[1], len(rows))
        chi[rows, at] += rng.normal(0, 0.02, len(rows)).astype(np.float32)


def _residue(n, rng, size):
    """A few slow waves (R below 1.2 Å), largest at low k: white lines, multi-electron edges, harmonics."""
    k = K_GRID.astype(np.float32)
    total = np.zeros((n, len(k)), np.float32)
    for _ in range(2):
        r, phase, reach = (rng.uniform(*limits, (n, 1)).astype(np.float32) for limits in ((0.1, 1.2), (0, 6.3), (2, 6)))
        height = rng.normal(0, size, (n, 1)).astype(np.float32)
        total += height * np.exp((3 - k) / reach) * np.sin(2 * k * r + phase)
    return total


def _noise(n, rng, limits):
    """Noise that grows with k, as glitches and counting noise do, partly correlated from point to point."""
    level = np.exp(rng.uniform(*np.log(limits), n))[:, None]
    white = rng.standard_normal((n, len(K_GRID)), np.float32)
    smooth = (white + np.roll(white, 1, 1)) / np.sqrt(2)
    colour = rng.uniform(0, 1, (n, 1)).astype(np.float32)
    power = rng.uniform(0, 1.5, (n, 1))
    rise = np.exp(power.astype(np.float32) * np.log(np.maximum(K_GRID, 1) / 10).astype(np.float32))
    size = np.sqrt(1 - (2 - np.sqrt(2)) * colour * (1 - colour))  # of the two together, which are half alike
    return (smooth * colour + white * (1 - colour)) * (rise * level / size).astype(np.float32)


def limits(n: int, rng: np.random.Generator, ends: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Half of the users take the default, or what is nearest; the others stop anywhere. Half of the data end there."""
    kmax = np.where(rng.random(n) < 0.5, np.clip(KMAX_DEFAULT, *ends), rng.uniform(*ends, n))
    kend = np.where(rng.random(n) < 0.5, kmax, kmax + rng.uniform(0, 3, n))
    return np.round(kmax / 0.05) * 0.05, np.round(kend / 0.05) * 0.05


def partners(groups: np.ndarray, rng: np.random.Generator, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Another of the same group for each, and how much of it is in a mixture, (n,); 0 in all but a `share` of them.

    A compound with several sites of one absorber (Fe3O4), or a sample of two compounds, has a mean coordination number.
    Groups are of one absorber and kind of neighbour.
    """
    partner = np.arange(len(groups))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        partner[rows] = rng.permutation(rows)
    n = len(groups)
    return partner, np.where(rng.random(n) < share, rng.uniform(0.1, 0.5, n), 0.0).astype(np.float32)


def mix(values: np.ndarray, partner: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Spectra or labels of mixtures."""
    return np.asarray((1 - weight[:, None]) * values + weight[:, None] * values[partner])
