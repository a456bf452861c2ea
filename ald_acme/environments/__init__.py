"""Batched environments, and adapters to and from other interfaces."""
