"""Short runs of the examples."""

import dataclasses
import importlib
import os
import re
import subprocess
import sys

import pytest

from ald_acme.networks import sizes
from ald_acme.networks import testing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
EXAMPLES = os.path.join(ROOT, 'examples')


@pytest.fixture
def example(monkeypatch):
  """Imports an example by name; its default networks become tiny."""

  def load(name):
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module(name)
    tiny = dataclasses.replace(module.CONFIG, networks=sizes.PRESETS['tiny'])
    monkeypatch.setattr(module, 'CONFIG', tiny)
    return module

  return load


def test_acme_loop(example):
  module = example('acme_loop')
  counts = module.main(episodes=40)
  assert counts['episodes'] == 40
  # The step from an episode to the next is a step of an unroll, too.
  steps = counts['steps'] + counts['episodes'] - 1
  config = module.CONFIG
  # Unrolls in flight at the end are not counted: those in the queue, those
  # prefetched, and the one being read.
  on_their_way = steps // config.unroll_length - counts['unrolls']
  assert 0 <= on_their_way <= config.queue_size + 2
  updates = counts['unrolls'] // config.learner_batch
  assert updates >= 1
  reuse = config.learner_reuse
  assert abs(counts['learner_updates'] - reuse * updates) <= reuse
  due = config.samples_per_insert * counts['unrolls']
  assert abs(counts['actor_updates'] - due) <= 3


def test_own_networks(example):
  agent = example('own_networks').main(episodes=100)
  variables, (updates,) = agent.get_variables(['actor', 'updates'])
  assert updates > 0
  # 54 cells, 4 actions and a reward; the GRU's three gates; 4 logits, a value.
  torso, gru, head = 59 * 32 + 32, 3 * (32 * 32 + 32 * 32 + 32), 32 * 5 + 5
  assert sum(variable.size for variable in variables) == torso + gru + head


class TestOwnCore(testing.CoreTestMixin):
  @pytest.fixture(autouse=True)
  def _take(self, example):
    self._module = example('own_networks')

  def make_object_under_test(self):
    return self._module.GRU(5)


_PROGRAM = """
import dataclasses, sys
sys.path.insert(0, sys.argv[1])
import launchpad_program
from agents import ald
from ald_acme.networks import sizes
from ald_acme.networks import testing

config = ald.ALDConfig(
    envs_per_actor=4, unroll_length=10, networks=sizes.PRESETS['tiny'])
experiment = dataclasses.replace(
    launchpad_program.EXPERIMENT, max_frames=0, evaluation_episodes=10)
launchpad_program.main(config, experiment, 'local_mt')
"""


def test_launchpad_program(tmp_path):
  with subprocess.Popen(
    [sys.executable, '-c', _PROGRAM, EXAMPLES],
    cwd=tmp_path,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
  ) as program:
    try:
      rows = (line for line in program.stdout if '[Elsewhere]' in line)
      # It receives the parameters and the growing counts.
      found = (re.search(r'Learner Updates = (\d+)', row) for row in rows)
      assert any(match and int(match.group(1)) > 0 for match in found)
    finally:
      # Threads cannot be ended from outside while they wait for one another.
      program.kill()
