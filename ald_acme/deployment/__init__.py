"""Exports: acting policies as files that do not need this package."""
