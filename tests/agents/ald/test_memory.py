"""A task that needs a memory longer than an unroll."""

import collections
import dataclasses

from acme import specs
from acme.utils import counting
import dm_env
import numpy as np

from agents import ald
from agents.actor_critic import acting
from agents.actor_critic import learner_runner
from ald_acme.environments.batches import stacking
from ald_acme.networks import sizes
from ald_acme.replay import local

LENGTH, UNROLL = 8, 4  # The cue and the answer are never in one unroll.


class Recall(dm_env.Environment):
  """Shows a bit at the first of `LENGTH` steps, and asks for it at the last."""

  def __init__(self, seed: int):
    self._rng = np.random.default_rng(seed)

  def reset(self):
    self._bit, self._step = int(self._rng.integers(2)), 0
    return dm_env.restart(self._observation())

  def step(self, action):
    self._step += 1
    if self._step < LENGTH:
      return dm_env.transition(0.0, self._observation())
    reward = 1.0 if action == self._bit else -1.0
    return dm_env.termination(reward, self._observation())

  def _observation(self):
    cue = 2.0 * self._bit - 1.0 if self._step == 0 else 0.0
    return np.array([cue, self._step == LENGTH - 1], np.float32)

  def observation_spec(self):
    return specs.Array((2,), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(2)


def train(most: int) -> int | None:
  """Frames until 20 rows have a mean return above 0.9; None by `most`.

  The parts take turns in this process.
  """
  config = ald.ALDConfig(
    networks=dataclasses.replace(sizes.PRESETS['tiny'], gtrxl_memory=LENGTH),
    unroll_length=UNROLL,
    learner_learning_rate=3e-3,
    distiller_learning_rate=3e-3,
    discount=0.9,
  )
  builder = ald.ALDBuilder(config)
  environment = stacking.stack(Recall, config.envs_per_actor, config.seed)
  networks = builder.make_networks(
    specs.EnvironmentSpec(
      environment.observation_spec(),
      environment.action_spec(),
      environment.reward_spec(),
      environment.discount_spec(),
    )
  )
  replay = local.LocalReplay(builder.tables(), builder.seed_of(3))
  counter = counting.Counter()
  learner = builder.make_learner(
    networks, builder.make_dataset_iterator(replay), counter
  )
  turns = builder.make_turns(networks, replay, learner, counter)
  returns = collections.deque(maxlen=20)  # Of batches of environments.

  class Log:
    def write(self, row):
      if np.isfinite(row['return']):
        returns.append(row['return'])

  adder = builder.make_adder(replay)
  loop = acting.UnrollLoop(
    environment,
    builder.make_actor(networks.actor, adder, turns.source),
    adder,
    UNROLL,
    counter,
    Log(),
  )
  while counter.get_counts().get('frames', 0) < most:
    loop.step()
    turns.before_learning()
    updates = 0
    while replay.can_sample(builder.learner_table, config.learner_batch):
      learner.step()
      updates += 1
    turns.after_learning(updates)
    if len(returns) == returns.maxlen and np.mean(returns) > 0.9:
      return counter.get_counts()['frames']
  return None


def test_learns_what_was_shown_in_an_earlier_unroll():
  assert train(most=30_000)


def test_fails_without_the_runners_memory(monkeypatch):
  """The test above is one of the runner's memory."""
  monkeypatch.setattr(
    learner_runner.LearnerRunner,
    '_recall',
    lambda self, unroll: self._network.initial_state(
      unroll.inputs.start_of_episode.shape[1]
    ),
  )
  assert not train(most=12_000)
