"""Bytes ⇄ frozen records. Pure; FORMAT.md is normative."""
