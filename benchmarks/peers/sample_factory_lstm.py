"""Sample Factory's APPO with an LSTM and its defaults, on our tasks.

  uv run --isolated --no-project --python=3.10 \
    --with-requirements=benchmarks/peers/sample_factory_lstm.txt \
    benchmarks/peers/sample_factory_lstm.py i_maze '' 100000 0 /tmp/curve.csv

All settings are its defaults except the LSTM (`--use_rnn`, `--rnn_type`) and
the machine's: a worker per core, and no GPU.
"""

import functools
import os
import sys
import tempfile
from typing import Any

import curve
from sample_factory import train
from sample_factory.algo.runners import runner as runners
from sample_factory.cfg import arguments as sf_arguments
from sample_factory.envs import env_utils
import tasks

_TASK = 'task_of_ours'


class _Watcher(runners.AlgoObserver):
  """Passes the runner's statistics of completed episodes to the curve."""

  def __init__(self, seen: curve.Curve):
    self._seen = seen

  def on_training_step(self, runner, training_iteration_since_resume):
    for returns in runner.policy_avg_stats.get('reward', []):
      for total in returns:  # The last 100: all that the curve averages.
        self._seen.episode(float(total))
    self._seen.frames(runner.env_steps.get(0, 0))


def _make(
  name: str,
  arguments: str,
  seed: int,
  full_env_name: str,
  config: Any,
  env_config: Any,
  render_mode: str | None = None,
) -> tasks.Task:
  """Creates an environment of a worker, with its own seed."""
  number = 0 if env_config is None else env_config.env_id + 1
  return tasks.Task(name, arguments, 10_000 * seed + number)


def main():
  name, arguments, frames, seed, path = tasks.parse(sys.argv[1:])

  make = functools.partial(_make, name, arguments, seed)
  env_utils.register_env(_TASK, make)
  with tempfile.TemporaryDirectory() as folder:
    asked = [
      f'--env={_TASK}',
      f'--train_dir={folder}',
      f'--seed={seed}',
      f'--train_for_env_steps={frames}',
      f'--num_workers={len(os.sched_getaffinity(0))}',
      '--device=cpu',
      '--use_rnn=True',
      '--rnn_type=lstm',
    ]
    parser, _ = sf_arguments.parse_sf_args(asked)
    config = sf_arguments.parse_full_cfg(parser, asked)
    config, runner = train.make_runner(config)
    seen = curve.Curve(path)
    runner.register_observer(_Watcher(seen))
    runner.init()
    runner.run()
    seen.finish(runner.env_steps.get(0, 0))


if __name__ == '__main__':
  main()
