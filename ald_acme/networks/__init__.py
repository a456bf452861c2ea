"""Sonnet networks behind one recurrent interface."""
