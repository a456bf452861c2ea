"""Losses as pure functions of time-major tensors `[T, B, ...]`."""
