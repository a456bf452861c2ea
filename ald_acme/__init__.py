"""Parts of Actor-Learner Distillation, each usable alone."""
