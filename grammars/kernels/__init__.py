"""Numba kernels over flat arrays. `machine` steps and masks; `tier1` walks a vocabulary under one terminal state."""
