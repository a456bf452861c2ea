"""Replay tables, their writers and readers; no other package uses Reverb."""
