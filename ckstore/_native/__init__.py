"""Compiled kernels: thin Cython over csrc/. Each extension has a stub beside it."""
