"""Command-line entry points; only this package defines flags."""
