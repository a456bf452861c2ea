"""Settings that exceed the memory of the machine are errors."""

import itertools
import shutil

import pytest

from agents import catalogue
from agents import settings
from ald_acme.networks import sizes
from launch import command_line
from launch import limits


@pytest.mark.parametrize(
  'fields, networks, said',
  [
    ({'num_actors': 10**6}, {}, r'num_actors=1000000, .* TB'),
    ({'num_distillers': 10**6}, {}, 'num_distillers=1000000'),
    ({'envs_per_actor': 10**11}, {}, r'envs_per_actor=100000000000, .* PB'),
    ({'unroll_length': 10**13}, {}, 'unroll_length=10000000000000'),
    ({'unroll_length': 10**6}, {}, r'unroll_length=1000000, .* PB'),
    ({'evaluation_episodes': 10**13}, {}, 'evaluation_episodes='),
    ({}, {'lstm': 10**9}, 'networks.lstm=1000000000'),
    ({}, {'torso': 10**13}, 'networks.torso='),
    ({}, {'gtrxl_width': 10**7}, 'networks.gtrxl_width=10000000'),
    ({}, {'gtrxl_layers': 10**10}, 'networks.gtrxl_layers='),
    ({}, {'gtrxl_mlp': 10**12}, 'networks.gtrxl_mlp='),
    ({}, {'gtrxl_memory': 10**12}, 'networks.gtrxl_memory='),
    ({}, {'image_channels': 10**13}, 'networks.image_channels='),
  ],
  ids=str,
)
def test_settings_beyond_any_machine(fields, networks, said):
  made = settings.make('ald', {**fields, 'networks': networks})
  with pytest.raises(command_line.UsageError, match=said) as error:
    limits.check(made, local=True)
  assert 'this machine has' in str(error.value)
  if not {'num_actors', 'num_distillers'} & set(fields):  # On many machines.
    with pytest.raises(command_line.UsageError, match='no machine has more'):
      limits.check(made, local=False)


def test_settings_that_fit_are_accepted():
  for agent, networks in itertools.product(
    catalogue.NAMES, sizes.PRESETS.values()
  ):
    made = settings.make(agent, {'networks': networks})
    limits.check(made, local=True)
    made.experiment.num_actors = 5_000
    limits.check(made, local=False)
  long = settings.make('ald', {'unroll_length': 10**6})
  limits.check(long, local=True, network_factory='mine:make')
  # An LSTM keeps nothing of all pairs of steps.
  limits.check(settings.make('lstm', {'unroll_length': 10**6}), local=True)


def test_a_full_disk(tmp_path, monkeypatch):
  limits.check_disk(str(tmp_path / 'no' / 'run'))
  usage = shutil.disk_usage(tmp_path)._replace(free=3_000_000)
  seen = []
  monkeypatch.setattr(shutil, 'disk_usage', lambda p: seen.append(p) or usage)
  with pytest.raises(ValueError, match=r'no/run.* 3 MB left.*least 10 MB'):
    limits.check_disk(str(tmp_path / 'no' / 'run'))
  assert seen == [str(tmp_path)]
