"""The package's own tasks, their scripted experts, and shared modules."""
