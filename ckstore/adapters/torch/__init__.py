"""Torch tensors and plain torch values <-> rows. The only part of the adapters that imports torch; imported on need."""
