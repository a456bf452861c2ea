"""Network parameters shared between processes."""
