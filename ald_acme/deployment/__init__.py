"""Exports of acting policies to files that do not need this package."""
