"""The replay tables: the only package here that knows Reverb."""
