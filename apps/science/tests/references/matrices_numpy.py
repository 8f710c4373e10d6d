"""Computes products, inverses, eigenvalues and singular values with NumPy, and some to 50 digits.

    pip install numpy scipy mpmath && python matrices_numpy.py > matrices_numpy.json

It also writes the matrices of samples/matrices, which the program reads.
"""
import json
from pathlib import Path

import mpmath
import numpy as np
import scipy
import scipy.io
import scipy.sparse

random = np.random.default_rng(20)
general = random.uniform(-1, 1, (6, 6))
tall = random.uniform(-1, 1, (7, 4))
right = random.uniform(-1, 1, (6, 3))
symmetric = general + general.T


def columns(matrix):
    return {"rows": matrix.shape[0], "values": matrix.flatten(order="F").tolist()}


def pairs(values):
    values = sorted(values, key=lambda it: (it.real, it.imag))
    return [[it.real, it.imag] for it in np.asarray(values, complex)]


mpmath.mp.dps = 50
size = 9
# The doubles that the program computes with, not the fractions.
hilbert = np.array([[1.0 / (i + j + 1) for j in range(size)] for i in range(size)])
exact = mpmath.matrix(hilbert.tolist())
exact_eigenvalues = sorted(float(it) for it in mpmath.eigsy(exact, eigvals_only=True))
exact_inverse = exact**-1
exact_singular = sorted((float(it) for it in mpmath.svd_r(mpmath.matrix(tall.tolist()), compute_uv=False)), reverse=True)
exact_general = [complex(it) for it in mpmath.eig(mpmath.matrix(general.tolist()))[0]]

print(json.dumps({
    "numpy": np.__version__,
    "general": columns(general),
    "tall": columns(tall),
    "right": columns(right),
    "product": columns(general @ right),
    "inverse": columns(np.linalg.inv(general)),
    "eigenvalues": pairs(np.linalg.eigvals(general)),
    "symmetric_eigenvalues": sorted(np.linalg.eigvalsh(symmetric).tolist()),
    "singular_values": np.linalg.svd(tall, compute_uv=False).tolist(),
    "exact": {
        "hilbert_rows": size,
        "hilbert_eigenvalues": exact_eigenvalues,
        "hilbert_inverse": columns(np.array(exact_inverse.tolist(), dtype=float)),
        "singular_values": exact_singular,
        "eigenvalues": pairs(exact_general),
    },
}, indent=1))

folder = Path(__file__).parents[4] / "samples" / "matrices"
folder.mkdir(exist_ok=True)
# A square grid of 12 by 12 resistors: each node with the sum of its four conductances.
line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(12, 12))
one = scipy.sparse.eye_array(12)
grid = scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line)
scipy.io.mmwrite(folder / "grid.mtx", scipy.sparse.coo_array(grid), symmetry="symmetric",
                 comment=" The Laplacian of a grid of 12 by 12 nodes.")
# A page that blurs: each value is a mean of those around it. Hard to undo.
place = np.arange(96)
blur = np.exp(-((place[:, None] - place[None, :]) ** 2) / 4.5)
np.save(folder / "blur.npy", blur / blur.sum(axis=1, keepdims=True))
# Transition rates between 60 states that follow each other around a ring: complex eigenvalues.
ring = np.zeros((60, 60))
for state in range(60):
    ring[state, (state + 1) % 60] = 0.6
    ring[state, (state + 7) % 60] = 0.3 + 0.1 * np.sin(state)
    ring[state, state] = -ring[state].sum()
np.save(folder / "ring.npy", ring)
