"""Benchmarks of ckstore against its peers on real training runs: `python -m bench --help`, from the repository root."""
