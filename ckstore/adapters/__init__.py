"""States of frameworks <-> rows and tensors as ranges of bytes. `tree` holds the doors."""
