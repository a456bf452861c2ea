"""Evaluates the agent of a run, which may still be going on.

Example:
  python launch/evaluate.py --workdir=runs/mine --record=episode.gif
"""

import dataclasses
import os
import sys

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()
# Leave accelerators to the learner.
os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import flags
import numpy as np

from agents import trained
from ald_acme.acting import films
from ald_acme.environments import registry
from ald_acme.runs import statistics
from launch import command_line
from launch import trust

flags.adopt_module_key_flags(trust)

_WORKDIR = flags.DEFINE_string('workdir', None, "The run's folder.")
trust.define_code()
_EPISODES = flags.DEFINE_integer(
  'episodes', 100, 'Episodes to play.', lower_bound=1
)
_POLICY = flags.DEFINE_enum(
  'policy',
  'actor',
  trained.POLICIES,
  "The actor's or the learner's policy.",
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of episodes and actions.', lower_bound=0
)
_DETERMINISTIC = flags.DEFINE_bool(
  'deterministic',
  False,
  'Take the mode (for continuous actions the median) instead of sampling as in '
  'training.',
)
_RECORD = flags.DEFINE_string(
  'record',
  None,
  'Also record one more episode as this animated GIF, or MP4 if ffmpeg is '
  'installed.',
)
_FPS = flags.DEFINE_float(
  'fps',
  5.0,
  'Time steps per second of --record.',
  lower_bound=0.1,
  upper_bound=100.0,
)
_SUCCESS = flags.DEFINE_float(
  'success_return',
  None,
  'The least return of a successful episode; by default the return that solves '
  'the task. If that is unknown, no rate is shown.',
)
_MAX_STEPS = flags.DEFINE_integer(
  'max_steps',
  None,
  "Steps after which an episode is truncated; by default the run's setting.",
  lower_bound=1,
)
_ENVIRONMENT_KWARGS = flags.DEFINE_string(
  'environment_kwargs',
  None,
  "Arguments of the environment instead of the run's; they must not change the "
  'specs of observations and actions.',
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What to play.

  Attributes:
    policy: one of `trained.POLICIES`.
    episodes: number of episodes.
    seed: seed of episodes and actions.
    deterministic: whether to take the mode instead of sampling.
    max_steps: steps after which an episode is truncated.
    success_return: least return of a successful episode; None if unknown.
  """

  policy: str
  episodes: int
  seed: int
  deterministic: bool
  max_steps: int
  success_return: float | None


def main() -> None:
  run = trained.read(command_line.require(_WORKDIR))
  trust.require(vars(run), *trust.given())
  kwargs = _ENVIRONMENT_KWARGS.value
  if kwargs is not None:
    run = dataclasses.replace(run, environment_kwargs=kwargs)
    try:
      registry.check(run.environment, registry.parse_arguments(kwargs))
    except ValueError as error:
      raise command_line.UsageError(str(error)) from error
  if _RECORD.value is not None:
    try:
      films.check_format(_RECORD.value)
    except ValueError as error:
      raise command_line.UsageError(f'--record: {error}') from error
    folder = os.path.dirname(os.path.abspath(_RECORD.value))
    command_line.prepare_folder(folder, 'record')
  agent = trained.load(run)
  success = _SUCCESS.value
  wanted = Evaluation(
    policy=_POLICY.value,
    episodes=_EPISODES.value,
    seed=_SEED.value,
    deterministic=_DETERMINISTIC.value,
    max_steps=_MAX_STEPS.value or run.experiment.evaluation_max_steps,
    success_return=run.solved_return if success is None else success,
  )
  _evaluate(agent, wanted)
  if _RECORD.value is not None:
    _record(agent, wanted, _RECORD.value, _FPS.value)


def _evaluate(agent: trained.Trained, wanted: Evaluation) -> None:
  """Plays episodes and prints their statistics."""
  from ald_acme.acting import evaluation

  returns, lengths, cut = agent.play(
    wanted.policy,
    wanted.episodes,
    wanted.seed,
    wanted.deterministic,
    wanted.max_steps,
  )
  rows = {
    'policy': f'{wanted.policy} of {agent.run.agent}'
    + (', deterministic' if wanted.deterministic else ''),
    'environment': f'{agent.run.environment}({agent.run.environment_kwargs})',
    'checkpoint': agent.checkpoint,
    'frames': f'{agent.frames:,}',
    'episodes': f'{len(returns):,}, seed {wanted.seed}',
    'mean return': _mean(returns),
    'median return': f'{np.median(returns):.4g}',
    'least, most': f'{returns.min():.4g}, {returns.max():.4g}',
    'mean length': _mean(lengths),
  }
  if wanted.success_return is not None:
    success = evaluation.success_rate(returns, wanted.success_return)
    rows['success rate'] = (
      f'{success.share:.4g} (95%: {success.low:.4g} to {success.high:.4g}); '
      f'success is a return of at least {wanted.success_return:g}'
    )
  if cut.any():
    rows['cut episodes'] = f'{cut.sum()}, after {wanted.max_steps:,} steps'
  for name, value in rows.items():
    print(f'  {name:15}{value}')


def _mean(values: np.ndarray) -> str:
  """The mean with its bootstrap interval."""
  if len(values) == 1:
    return f'{values[0]:.4g} (one episode has no interval)'
  mean, low, high = statistics.estimate(values)
  # Resampling two or three values only gives their range.
  name = '95%' if len(values) > 3 else 'range'
  return f'{mean:.4g} ({name}: {low:.4g} to {high:.4g})'


def _record(
  agent: trained.Trained, wanted: Evaluation, path: str, fps: float
) -> None:
  """Records an episode."""
  from ald_acme.acting import recording

  environment = agent.run.make_environment(1, wanted.seed)
  network = agent.network(wanted.policy)
  episode = recording.record(
    environment,
    network,
    wanted.seed,
    wanted.deterministic,
    wanted.max_steps,
  )
  if episode.pictures is None:
    try:
      environment.render()
    except ValueError as error:
      print(f'recorded without the environment: {error}')
  environment.close()
  films.write(episode, path, fps)
  print(f'recorded {episode.length} steps: {path}')


if __name__ == '__main__':
  command_line.run(main)
