"""Batches of environments, stepped in this process or by workers; wrappers."""
