"""`python -m ckstore` is the command line."""

from __future__ import annotations

from ckstore.cli import main

if __name__ == "__main__":
    main()
