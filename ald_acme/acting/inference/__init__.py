"""A network's step, compiled for acting: the quickest runtime that takes it."""
