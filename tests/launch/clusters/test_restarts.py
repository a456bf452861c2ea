"""Policy of restarts."""

from launch.clusters import restarts


def test_pauses_double_until_the_tries_end():
  again = restarts.Restarts()
  pauses = [again.after(lived=0.0) for _ in range(8)]
  assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, None]


def test_a_long_life_resets_the_count():
  again = restarts.Restarts()
  for _ in range(7):
    again.after(lived=299.0)
  assert [again.after(lived) for lived in (300.0, 0.0)] == [1.0, 2.0]
