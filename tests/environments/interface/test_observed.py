"""An actor that observes fewer entries than its learner."""

import acme
import dm_env
from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import masks
from ald_acme.environments.interface import observed

SPEC = {
  'map': specs.Array((3, 3), np.float32),
  'body': {
    'angle': specs.Array((2,), np.float32),
    'speed': specs.Array((), np.float32),
  },
}


class Body(dm_env.Environment):
  """Six steps of random observations."""

  def __init__(self):
    self._rng = np.random.default_rng(0)

  def reset(self):
    self._time = 0
    return dm_env.restart(self._see())

  def step(self, action):
    self._time += 1
    make = dm_env.termination if self._time == 6 else dm_env.transition
    return make(1.0, self._see())

  def _see(self):
    return tree.map_structure(
      lambda s: self._rng.normal(size=s.shape).astype(np.float32), SPEC
    )

  def observation_spec(self):
    return SPEC

  def action_spec(self):
    return specs.BoundedArray((2,), np.float32, -1, 1)


@pytest.mark.parametrize(
  'text, names, selected',
  [
    ('', None, SPEC),
    ('map', ('map',), {'map': SPEC['map']}),
    (' body , ', ('body',), {'body': SPEC['body']}),
    (
      'body/angle,map',
      ('body/angle', 'map'),
      {'body': {'angle': SPEC['body']['angle']}, 'map': SPEC['map']},
    ),
  ],
)
def test_entries_are_selected(text, names, selected):
  parsed = observed.parse(text, SPEC)
  assert parsed == names
  assert observed.select(SPEC, parsed) == selected


def test_the_mask_is_always_observed():
  spec = {**SPEC, 'legal': masks.MaskSpec(4)}
  assert observed.parse('map', spec) == ('map', 'legal')
  assert observed.parse('legal,map', spec) == ('legal', 'map')


@pytest.mark.parametrize(
  'text, spec, message',
  [
    (
      'maps',
      SPEC,
      "which are body/angle, body/speed, map, but received 'maps'",
    ),
    ('map,body/x', SPEC, "but received 'body/x'"),
    ('map/x', SPEC, "but received 'map/x'"),
    ('map', SPEC['map'], 'none, as it is a single array'),
  ],
)
def test_other_entries_are_refused(text, spec, message):
  with pytest.raises(ValueError, match=message):
    observed.parse(text, spec)


@pytest.mark.parametrize('agent', ['ald', 'asymmetric'])
def test_unobserved_entries_change_nothing(agent, tmp_path):
  from agents import catalogue
  from agents.actor_critic import config as actor_critic_config
  from agents.ald import config as ald_config
  from ald_acme.acting import recording
  from ald_acme.deployment import act
  from ald_acme.deployment import agreement
  from ald_acme.deployment import exporting
  from ald_acme.deployment import step as steps
  from ald_acme.networks import sizes

  kind = {
    'ald': ald_config.ALDConfig,
    'asymmetric': actor_critic_config.AsymmetricConfig,
  }[agent]
  config = kind(networks=sizes.PRESETS['tiny'], actor_observations='body/angle')
  environment = stacking.Stacked([Body()])
  spec = acme.make_environment_spec(environment)
  networks = catalogue.make_builder(agent, config).make_networks(spec)
  rng = np.random.default_rng(0)
  for variable in networks.actor.trainable_variables:
    variable.assign_add(rng.normal(scale=0.4, size=variable.shape))

  episode = recording.record(environment, networks.actor, 0)
  assert list(episode.inputs.observation) == ['body']
  step = steps.Step(networks.actor, spec)
  assert step.observations == ['observation_body_angle']
  for form in ('numpy', 'tflite'):
    folder = tmp_path / form
    folder.mkdir()
    exporting.export(step, form, str(folder), {})
    policy = act.load(str(folder))
    difference = agreement.largest_difference(policy, step, [episode])
    assert difference < 1e-4
    action = policy.act({'observation_body_angle': np.zeros(2, np.float32)})
    assert np.abs(action).max() <= 1

  _assert_sees(networks.actor, environment, {('body', 'angle')})
  seen = tree.map_structure(lambda x: tf.constant(x[0]), episode.inputs)
  observation = tree.map_structure(tf.constant, environment.reset().observation)
  everywhere = seen._replace(observation=observation)
  for inputs in (seen, everywhere):
    state = networks.actor.initial_state(1)
    expected, _ = networks.actor(inputs, state)
    acted, _ = networks.actor.act(inputs, networks.actor.acting_state(state))
    np.testing.assert_allclose(acted.policy, expected.policy, atol=1e-6)
  if agent == 'ald':
    everything = {path for path, _ in tree.flatten_with_path(SPEC)}
    _assert_sees(networks.learner, environment, everything)


def _assert_sees(network, environment, paths):
  """The parameters of a policy depend on these parts alone."""
  from ald_acme.acting import policies

  policy = policies.BatchedPolicy(network, SPEC, 1, seed=0)
  timestep = environment.reset()
  inputs = policy.inputs(timestep)

  def answer(observation):
    policy.reset()
    return policy.step(inputs._replace(observation=observation)).policy

  before = answer(inputs.observation)
  changed = set()
  for path, _ in tree.flatten_with_path(SPEC):
    other = tree.map_structure_with_path(
      lambda p, x, path=path: x + 1 if p == path else x, inputs.observation
    )
    if np.any(answer(other) != before):
      changed.add(path)
  assert changed == paths
