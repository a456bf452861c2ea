"""Many runs at once: a pool of jobs, grids of settings, results, tables."""
