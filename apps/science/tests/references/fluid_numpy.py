"""Computes energy, virial, forces and neighbor counts of one state by brute force, with NumPy.

    pip install numpy && python fluid_numpy.py > fluid_numpy.json

The state is that of `scattered` in tests/it/forces.rs: a lattice of 8x8x8 particles, each moved by a
small amount. Every pair is computed, at the distance of the nearest images.
"""
import json
import numpy as np

SIDE, LENGTH = 8, 9.1
SWITCH, CUTOFF, BINS = 2.5, 3.0, 150

number = np.arange(SIDE**3)
site = np.stack([number // SIDE**2, number // SIDE % SIDE, number % SIDE], axis=1)
shift = np.stack([(number * 7919 + axis * 104729) % 1000 for axis in range(3)], axis=1) / 1000.0
position = (site + 0.25 * shift) * (LENGTH / SIDE)

distance = position[:, None, :] - position[None, :, :]
distance -= LENGTH * np.round(distance / LENGTH)
r = np.sqrt((distance**2).sum(axis=2))
np.fill_diagonal(r, np.inf)

x = np.clip((r**2 - SWITCH**2) / (CUTOFF**2 - SWITCH**2), 0, 1)
switch = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
slope = (-30 * x**2 + 60 * x**3 - 30 * x**4) * 2 * np.where(np.isinf(r), 0, r) / (CUTOFF**2 - SWITCH**2)
plain = 4 * (r**-12.0 - r**-6.0)
plain_slope = 4 * (-12 * r**-13.0 + 6 * r**-7.0)
energy = np.where(r < CUTOFF, plain * switch, 0)
derivative = np.where(r < CUTOFF, plain_slope * switch + plain * slope, 0)
force = (-(derivative / r)[:, :, None] * np.where(np.isinf(r)[:, :, None], 0, distance)).sum(axis=1)
virial = np.where(r < CUTOFF, -derivative * np.where(np.isinf(r), 0, r), 0)
counts, _ = np.histogram(r[r < CUTOFF], bins=BINS, range=(0, CUTOFF))

print(json.dumps({
    "numpy": np.__version__,
    "energy": energy.sum() / 2,
    "virial": virial.sum() / 2,
    "squares": (force**2).sum(),
    "forces": force[[0, 1, 77, 300, 511]].tolist(),
    "counts": counts.tolist(),
}, indent=1))
