"""Command-line entry points; flags live here alone."""
