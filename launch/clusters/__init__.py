"""The same program on many machines."""
