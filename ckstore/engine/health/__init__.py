"""Damage: finding it (`verify.verify`), reading around it (`intact`), and mending it (`repair.repair`)."""
