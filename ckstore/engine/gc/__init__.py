"""Garbage collection: what is needed, what is not, what moves so that more can go. The verb is `collector.collect`."""
