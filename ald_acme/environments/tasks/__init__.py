"""The package's own tasks, their scripted experts, and what they share."""
