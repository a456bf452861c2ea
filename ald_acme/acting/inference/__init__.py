"""A network's step, compiled for acting."""
