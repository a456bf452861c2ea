"""Timelines of nodes."""

import os
import time

from ald_acme import activity
from ald_acme.runs import timelines


def test_spans_and_usage_reach_the_file(tmp_path):
  path = os.path.join(tmp_path, 'timelines', 'actor_0.json')
  timelines.start('actor_0', path, period=0.01)
  began = time.time()
  try:
    with activity.doing('infer'):
      pass
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
      events = {event['name']: event for event in timelines.read(path)}
      if {'infer', 'usage'} <= set(events):
        break
  finally:
    activity.record(None)
  assert events['process_name']['args'] == {'name': 'actor_0'}
  assert events['infer']['ph'] == 'X'
  assert abs(events['infer']['ts'] / 1e6 - began) < 20
  assert 0 <= events['infer']['dur'] < 20e6
  assert events['usage']['args']['cpu'] > 0


def test_an_incomplete_line_is_skipped(tmp_path):
  path = tmp_path / 'learner_0.json'
  path.write_text('[\n{"name": "a"},\n{"name": "b"},\n{"na')
  assert [event['name'] for event in timelines.read(path)] == ['a', 'b']
