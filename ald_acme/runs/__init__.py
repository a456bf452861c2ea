"""What a run leaves on disk, and what watches it while it goes."""
