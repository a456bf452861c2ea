"""Invalid configurations raise errors that name field and value."""

import dataclasses
import math

import pytest

from agents import catalogue
from agents import experiment as experiments
from agents import settings
from agents.ald import config as ald_config
from ald_acme.networks import sizes

COUNTS = [
  'num_actors',
  'envs_per_actor',
  'num_distillers',
  'unroll_length',
  'learner_batch',
  'learner_replay_size',
  'distill_batch',
  'queue_size',
  'learner_queue_size',
  'distill_table_size',
  'distill_min_size',
  'target_update_period',
  'actor_update_period',
  'actors_per_cacher',
  'evaluation_episodes',
  'evaluation_envs',
  'evaluation_frames',
  'evaluation_max_steps',
  'learner_evaluation_episodes',
  'learner_evaluation_frames',
]
MAY_BE_0 = ['seed', 'max_frames']
POSITIVE = [
  'dprl',
  'clip_epsilon',
  'epsilon_temperature',
  'epsilon_alpha',
  'epsilon_mean',
  'epsilon_covariance',
  'initial_temperature',
  'initial_alpha',
  'dual_learning_rate',
  'learner_learning_rate',
  'learner_gradient_norm',
  'distiller_learning_rate',
  'distiller_gradient_norm',
  'evaluation_period',
  'evaluation_share',
  'learner_evaluation_period',
  'checkpoint_period',
  'stall_warning',
]
COSTS = [
  'stall_limit',
  'value_cost',
  'entropy_cost',
  'regulariser_cost',
  'policy_cost',
  'distill_value_cost',
  'feature_learning_rate',
]
SHARES = ['discount', 'trace_decay', 'value_offset_rate']
CHOICES = ['loss', 'kl_direction']


def _make(**fields):
  return settings.make('ald', fields)


def _refused(field, value, *words):
  with pytest.raises(ValueError) as error:
    _make(**{field: value})
  for word in (field, repr(value), *words):
    assert word in str(error.value)


@pytest.mark.parametrize('name', ['target_return', 'solved_return'])
def test_any_return_may_be_a_target(name):
  for value in (None, 0.0, -100.0, 7):
    assert getattr(_make(**{name: value}).experiment, name) == value
  _refused(name, 'high', 'float')
  # To earlier versions 0 was none.
  fields = _make(**{name: 0.0}).flat()
  assert settings.read('ald', {'config': fields}).flat()[name] == 0.0
  del fields['evaluation_frames']
  assert settings.read('ald', {'config': fields}).flat()[name] is None


@pytest.mark.parametrize(
  'name',
  ['learner_average_decay', 'feature_learning_rate', 'value_offset_rate'],
)
def test_runs_of_versions_without_a_field_go_on_as_before(name):
  fields = _make().flat()
  assert fields.pop(name)
  assert settings.read('ald', {'config': fields}).flat()[name] == 0.0


def test_every_field_is_tested():
  tested = {*COUNTS, *MAY_BE_0, *POSITIVE, *COSTS, *SHARES, *CHOICES}
  others = {'networks', 'learner_reuse', 'checkpoints_kept'}
  others |= {
    'learner_average_decay',
    'target_return',
    'solved_return',
    'stagger_episodes',
    'timeline',
    'actor_observations',
  }
  assert settings.all_fields().keys() == tested | others


@pytest.mark.parametrize('agent', catalogue.NAMES)
def test_fields_are_unique_and_documented(agent):
  config, experiment = settings.make(agent, {})[1:]
  names = [f.name for x in (config, experiment) for f in dataclasses.fields(x)]
  assert len(names) == len(set(names))
  for name, field in settings.fields_of(agent).items():
    assert name == 'networks' or field.metadata['about'].endswith('.')


@pytest.mark.parametrize('agent', catalogue.NAMES)
def test_flat_settings_are_read_again(agent):
  made = settings.make(agent, {'seed': 3, 'max_frames': 7})
  made.config.networks.lstm = 5
  assert settings.read(agent, {'config': made.flat()}) == made


def test_runs_of_earlier_versions_are_read():
  # They wrote what only other agents have.
  saved = {**settings.make('ald', {}).flat(), 'regulariser_cost': 0.0}
  assert settings.read('lstm', {'config': saved}) == settings.make('lstm', {})


def test_runs_of_other_versions_are_refused_by_name():
  saved = {'config': {'networks': {}, 'warp': 9}, 'versions': {'ald-acme': '7'}}
  with pytest.raises(ValueError, match=r"ald_acme 7 .* read by .*'warp'"):
    settings.read('ald', saved)


@pytest.mark.parametrize('value', [0, -3])
@pytest.mark.parametrize('field', COUNTS)
def test_counts(field, value):
  _refused(field, value, 'at least 1')


@pytest.mark.parametrize('field', MAY_BE_0)
def test_counts_that_may_be_0(field):
  _make(**{field: 0})
  _refused(field, -1, 'at least 0')


@pytest.mark.parametrize('value', [0.0, -0.5])
@pytest.mark.parametrize('field', POSITIVE)
def test_positive_numbers(field, value):
  _refused(field, value, 'above 0')


@pytest.mark.parametrize('field', COSTS)
def test_costs(field):
  _make(**{field: 0})
  _refused(field, -0.5, 'at least 0')


@pytest.mark.parametrize('value', [-0.1, 1.1])
@pytest.mark.parametrize('field', SHARES)
def test_shares(field, value):
  for good in (0, 0.5, 1):
    ald_config.ALDConfig(**{field: good})
  _refused(field, value, 'from 0.0 to 1.0')


@pytest.mark.parametrize('value', [-0.1, 1, 2.0, math.nan, 'slow'])
def test_average_decay(value):
  for good in (0, 0.5, 0.9999):
    ald_config.ALDConfig(learner_average_decay=good)
  _refused('learner_average_decay', value)


@pytest.mark.parametrize('value', [0, 0.9, 65, math.nan, 'twice'])
def test_reuse(value):
  for good in (1, 1.5, 64):
    ald_config.ALDConfig(learner_reuse=good, dprl=0.25)
  _refused('learner_reuse', value)


@pytest.mark.parametrize(
  'field, choices',
  [('loss', ['vtrace', 'vmpo']), ('kl_direction', ['reverse', 'forward'])],
)
def test_choices(field, choices):
  for choice in choices:
    ald_config.ALDConfig(**{field: choice})
  for bad in ('', choices[0].upper(), 'ppo'):
    _refused(field, bad, *choices)


@pytest.mark.parametrize(
  'field, value',
  [
    *((field, 1.5) for field in COUNTS + MAY_BE_0),
    *((field, 'much') for field in POSITIVE + COSTS + SHARES),
    *((field, None) for field in CHOICES),
    ('target_return', '1'),
    ('max_frames', True),
  ],
)
def test_types(field, value):
  _refused(field, value, 'must be of type')


@pytest.mark.parametrize('value', [math.nan, math.inf])
@pytest.mark.parametrize('field', POSITIVE + COSTS + SHARES)
def test_numbers_are_finite(field, value):
  _refused(field, value, 'must be a finite number')


def test_one_checkpoint_alone_may_be_damaged():
  _make(checkpoints_kept=2)
  _refused('checkpoints_kept', 1, 'at least 2')


@pytest.mark.parametrize('networks', ['small', None, {'lstm': 32}])
def test_networks_must_be_sizes(networks):
  with pytest.raises(ValueError) as error:
    ald_config.ALDConfig(networks=networks)
  assert f'networks must be NetworkSizes, but received {networks!r}' in str(
    error.value
  )


@pytest.mark.parametrize('field', ['torso', 'lstm', 'gtrxl_memory'])
def test_sizes_are_checked(field):
  config = ald_config.ALDConfig()
  setattr(config.networks, field, 0)
  with pytest.raises(ValueError, match=rf'networks\.{field} .* received 0'):
    config.validate()


def test_widths_must_fit_the_heads():
  with pytest.raises(ValueError, match=r'gtrxl_width .*gtrxl_heads=4.* 42'):
    sizes.NetworkSizes(gtrxl_width=42)


@pytest.mark.parametrize('preset', sizes.PRESETS)
def test_presets(preset):
  networks = sizes.PRESETS[preset]
  config = ald_config.ALDConfig(networks=networks)
  assert config.networks == networks
  config.networks.lstm = 7  # Of this config alone.
  assert sizes.PRESETS[preset].lstm != 7


def test_changes_are_checked_by_validate():
  config = ald_config.ALDConfig()
  config.validate()
  config.discount = 2.0
  with pytest.raises(ValueError, match='discount'):
    config.validate()


@pytest.mark.parametrize('least, size', [(2, 1), (9, 8)])
def test_a_table_that_can_never_be_sampled_is_refused(least, size):
  with pytest.raises(ValueError) as error:
    ald_config.ALDConfig(distill_min_size=least, distill_table_size=size)
  for words in (
    f'distill_min_size={least}',
    f'distill_table_size={size}',
    'sampling would never start',
    'deadlock',
    'raise distill_table_size',
  ):
    assert words in str(error.value)
  ald_config.ALDConfig(distill_min_size=size, distill_table_size=size)


@pytest.mark.parametrize(
  'dprl, reuse, distill_batch, learner_batch, expected',
  [
    (4, 1, 1, 1, 4.0),
    (0.5, 1, 1, 1, 0.5),
    (0.5, 3, 1, 1, 1.5),
    (0.1, 1, 3, 2, 0.15),
    (1.5, 2.5, 2, 4, 1.875),
    (2.0, 1, 4, 1, 8.0),
    (1 / 64, 1, 1, 1, 1 / 64),
    (1024.0, 1, 1, 1, 1024.0),
  ],
)
def test_samples_per_insert(
  dprl, reuse, distill_batch, learner_batch, expected
):
  config = ald_config.ALDConfig(
    dprl=dprl,
    learner_reuse=reuse,
    distill_batch=distill_batch,
    learner_batch=learner_batch,
  )
  assert config.samples_per_insert == pytest.approx(expected)


@pytest.mark.parametrize(
  'dprl, distill_batch, learner_batch, asked',
  [
    (0.01, 1, 1, '0.01'),
    (0.5, 1, 64, '0.0078125'),
    (2000.0, 1, 1, '2000'),
    (600.0, 2, 1, '1200'),
  ],
)
def test_ratios_that_deadlock_are_rejected(
  dprl, distill_batch, learner_batch, asked
):
  with pytest.raises(ValueError) as error:
    ald_config.ALDConfig(
      dprl=dprl,
      learner_reuse=1,
      distill_batch=distill_batch,
      learner_batch=learner_batch,
    )
  for words in (
    f'dprl={dprl}',
    'learner_reuse=1',
    f'distill_batch={distill_batch}',
    f'learner_batch={learner_batch}',
    f'gives {asked} samples',
    '1/64 to 1024',
  ):
    assert words in str(error.value)


@pytest.mark.parametrize(
  'actors,per_cacher,cachers',
  [(1, 32, 0), (32, 32, 0), (33, 32, 2), (64, 32, 2), (65, 32, 3), (3, 1, 3)],
)
def test_number_of_cachers(actors, per_cacher, cachers):
  config = experiments.ExperimentConfig(
    num_actors=actors, actors_per_cacher=per_cacher
  )
  assert config.num_cachers == cachers
