"""Frames and records ⇄ files. Knows names and bytes, never tensors or deltas."""
