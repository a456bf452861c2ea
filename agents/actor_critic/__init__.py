"""Actor-critics without distillation: what ALD is compared with."""
