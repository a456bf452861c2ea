"""A run's folder, logs, checkpoints and monitor."""
