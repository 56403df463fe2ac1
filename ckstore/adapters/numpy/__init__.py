"""NumPy arrays and scalars <-> rows."""
