"""Environments that step in batches, and their `dm_env` faces."""
