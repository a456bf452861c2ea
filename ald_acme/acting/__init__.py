"""Policies that act, the compiled steps behind them, and whole episodes."""
