"""Agents assembled from the parts of `ald_acme`."""
