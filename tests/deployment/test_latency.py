"""Percentiles of times exclude the warm-up."""

import numpy as np

from ald_acme.deployment import latency


def test_percentiles(monkeypatch):
  now = 0.0
  calls = 0
  monkeypatch.setattr(latency.time, 'perf_counter', lambda: now)

  def act():
    nonlocal now, calls
    calls += 1
    # The first ten are slow, then 1 to 101 microseconds.
    now += 1.0 if calls <= 10 else 1e-6 * (calls - 10)

  measured = latency.measure(act, steps=101, warm_up=10)
  assert calls == 111
  np.testing.assert_allclose(measured, (51.0, 100.0), rtol=1e-6)
