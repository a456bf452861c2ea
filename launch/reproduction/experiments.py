"""The experiments of the figures: tasks and methods."""

from collections.abc import Mapping
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Task:
  """A task.

  Attributes:
    environment: as the launcher's --environment.
    kwargs: as its --environment_kwargs.
    small_kwargs: the same for small runs.
    max_frames: length of a run in frames, by agent.
    fields: fields of the configuration that differ from the defaults.
    solvable: whether a return of 0.95 solves the task.
    package: an optional package that the task needs.
  """

  environment: str
  kwargs: str
  small_kwargs: str
  max_frames: Mapping[str, int]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  solvable: bool = True
  package: str | None = None


@dataclasses.dataclass(frozen=True)
class Method:
  """A method: an agent with its settings.

  Attributes:
    title: name in figures and tables.
    colour: colour in all figures, from a palette for the colour-blind.
    agent: as the launcher's --agent.
    fields: fields of the configuration that differ from the defaults.
    kwargs: arguments of the environment, in addition to the task's.
  """

  title: str
  colour: str
  agent: str = 'ald'
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  kwargs: str = ''


_WITH_MEMORYLESS = ('ald', 'lstm', 'memoryless')
TASKS = {
  'i_maze_9': Task(
    environment='i_maze',
    kwargs='size=9,limit=100',
    small_kwargs='size=5',
    max_frames={
      'ald': 200_000,
      'gtrxl': 200_000,
      'asymmetric': 200_000,
      'lstm': 500_000,
    },
  ),
  'i_maze_15': Task(
    environment='i_maze',
    kwargs='size=15,limit=250',
    small_kwargs='size=5',
    max_frames={'ald': 600_000, 'gtrxl': 600_000, 'lstm': 1_000_000},
  ),
  'meta_fetch': Task(
    environment='meta_fetch',
    kwargs='',
    small_kwargs='limit=20',
    max_frames=dict.fromkeys(('gtrxl', *_WITH_MEMORYLESS), 1_000_000),
    # The effect of an action shows within a few steps.
    fields={'discount': 0.9},
    solvable=False,
  ),
  'trials': Task(
    environment='i_maze',
    kwargs='size=5,hidden_rule=True,trial_episodes=5',
    small_kwargs='size=5,limit=9,hidden_rule=True,trial_episodes=2',
    max_frames={'ald': 400_000, 'lstm': 400_000},
    solvable=False,
  ),
  'popgym_repeat': Task(
    environment='gymnasium:popgym:popgym-RepeatPreviousEasy-v0',
    kwargs='',
    small_kwargs='',
    max_frames=dict.fromkeys(_WITH_MEMORYLESS, 500_000),
    # The suite declares no such return.
    fields={'solved_return': 0.95},
    package='popgym',
  ),
  'bsuite_memory': Task(
    environment='bsuite.experiments.memory_len.memory_len:load',
    kwargs='memory_length=30',
    small_kwargs='memory_length=5',
    max_frames=dict.fromkeys(_WITH_MEMORYLESS, 200_000),
    # The suite declares no such return.
    fields={'solved_return': 0.95},
    package='bsuite',
  ),
  'long_memory': Task(
    environment='bsuite.experiments.memory_len.memory_len:load',
    kwargs='memory_length=100',
    small_kwargs='memory_length=5',
    max_frames=dict.fromkeys(('ald', 'gtrxl', 'lstm'), 400_000),
    # Each layer's memory spans the whole episode.
    fields={'solved_return': 0.95, 'networks.gtrxl_memory': 128},
    package='bsuite',
  ),
  'pendulum': Task(
    environment='gymnasium:Pendulum-v1',
    kwargs='',
    small_kwargs='max_episode_steps=20',
    max_frames={'ald': 1_000_000},
    solvable=False,
  ),
  'pendulum_hidden': Task(
    environment='classic_control:Pendulum-v1',
    kwargs='velocities=hidden',
    small_kwargs='velocities=hidden,max_episode_steps=20',
    max_frames={'ald': 2_000_000},
    solvable=False,
  ),
  'pendulum_privileged': Task(
    environment='classic_control:Pendulum-v1',
    kwargs='',
    small_kwargs='max_episode_steps=20',
    max_frames={'ald': 1_000_000},
    solvable=False,
  ),
  'cartpole_swingup': Task(
    environment='dm_control:cartpole-swingup',
    kwargs='',
    small_kwargs='time_limit=0.2',
    max_frames={'ald': 3_000_000},
    solvable=False,
    package='dm_control',
  ),
  'mine_sweeper': Task(
    environment='gymnasium:popgym:popgym-MineSweeperEasy-v0',
    kwargs='',
    small_kwargs='',
    max_frames={'ald': 3_000_000},
    solvable=False,
    package='popgym',
  ),
  'knights_tour': Task(
    environment='knights_tour',
    kwargs='',
    small_kwargs='',
    max_frames={'ald': 200_000},
    solvable=False,
  ),
}
# Fields of a smoke run.
SMALL_FIELDS = {
  'max_frames': 4_000,
  'evaluation_episodes': 8,
  'learner_evaluation_episodes': 8,
}

_BLUE, _ORANGE, _GREEN = '#0072B2', '#E69F00', '#009E73'
_RED, _PURPLE, _SKY = '#D55E00', '#CC79A7', '#56B4E9'
_GREY = '#666666'
# The actor is the learner, so there is no other policy to regularise towards.
_ALONE = {'regulariser_cost': 0.0}
# Or towards the policy that gathered the data, with ALD's weight.
_REGULARISED = {'regulariser_cost': 0.1}
METHODS = {
  'ald': Method('ALD', _BLUE),
  'lstm': Method('LSTM', _RED, 'lstm', _ALONE),
  'gtrxl': Method('GTrXL', _GREEN, 'gtrxl', _ALONE),
  # These separate the effect of the regulariser from that of distillation.
  'lstm_regularised': Method(
    'LSTM, regularised', _ORANGE, 'lstm', _REGULARISED
  ),
  'gtrxl_regularised': Method(
    'GTrXL, regularised', _SKY, 'gtrxl', _REGULARISED
  ),
  'asymmetric': Method('LSTM, GTrXL critic', _PURPLE, 'asymmetric', _ALONE),
  'memoryless': Method('no memory', _GREY, 'memoryless', _ALONE),
  'ald_dprl_0.5': Method('ALD, DpRL 0.5', _RED, fields={'dprl': 0.5}),
  'ald_dprl_0.25': Method('ALD, DpRL 0.25', _ORANGE, fields={'dprl': 0.25}),
  'ald_dprl_3': Method('ALD, DpRL 3', _SKY, fields={'dprl': 3.0}),
  'ald_dprl_6': Method('ALD, DpRL 6', _GREEN, fields={'dprl': 6.0}),
  'ald_distillers_2': Method(
    'ALD, 2 distillers', _ORANGE, fields={'num_distillers': 2}
  ),
  'ald_distillers_4': Method(
    'ALD, 4 distillers', _GREEN, fields={'num_distillers': 4}
  ),
  'ald_no_value_distillation': Method(
    'no value distillation', _ORANGE, fields={'distill_value_cost': 0.0}
  ),
  'ald_no_features': Method(
    'no features distilled', _SKY, fields={'feature_learning_rate': 0.0}
  ),
  'ald_no_offset': Method(
    'no offset of the value', _GREY, fields={'value_offset_rate': 0.0}
  ),
  'ald_no_regulariser': Method(
    'no regulariser', _RED, fields={'regulariser_cost': 0.0}
  ),
  'ald_forward_kl': Method(
    'forward KL', _GREEN, fields={'kl_direction': 'forward'}
  ),
  'ald_memory_32': Method(
    'ALD, memory 32', _ORANGE, fields={'networks.gtrxl_memory': 32}
  ),
  'ald_memory_128': Method(
    'ALD, memory 128', _PURPLE, fields={'networks.gtrxl_memory': 128}
  ),
  'ald_gru': Method(
    'ALD, GRU acts', _ORANGE, fields={'networks.actor_core': 'gru'}
  ),
  'ald_mingru': Method(
    'ALD, minGRU acts', _GREEN, fields={'networks.actor_core': 'mingru'}
  ),
  'ald_lstm_learns': Method(
    'ALD, LSTM learns', _RED, fields={'networks.learner_core': 'lstm'}
  ),
  'ald_mingru_learns': Method(
    'ALD, minGRU learns', _PURPLE, fields={'networks.learner_core': 'mingru'}
  ),
  'ald_vmpo': Method('V-MPO', _PURPLE, fields={'loss': 'vmpo'}),
  'ald_unmasked': Method('ALD without the mask', _RED, kwargs='masked=False'),
  'ald_privileged': Method(
    'ALD, the learner sees velocities',
    _BLUE,
    fields={'actor_observations': 'position'},
  ),
  'ald_hidden': Method(
    'ALD, neither sees velocities', _RED, kwargs='velocities=hidden'
  ),
}
