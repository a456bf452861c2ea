"""Runs a program on the hosts of a cluster."""
