"""Which checkpoints are worth their bytes, and what of each: `keep.keep` and `thin.thin` are the verbs."""
