"""Adapters of other packages' environments."""
