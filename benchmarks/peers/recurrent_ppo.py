"""sb3-contrib's RecurrentPPO with its documented defaults, on our tasks.

  uv run --isolated --no-project --python=3.10 \
    --with-requirements=benchmarks/peers/recurrent_ppo.txt \
    benchmarks/peers/recurrent_ppo.py i_maze '' 100000 0 /tmp/curve.csv
"""

import sys

import curve
import sb3_contrib
from stable_baselines3.common import callbacks
from stable_baselines3.common import monitor
import tasks


class _Watcher(callbacks.BaseCallback):
  """Passes completed episodes to the curve."""

  def __init__(self, seen: curve.Curve):
    super().__init__()
    self._seen = seen

  def _on_step(self) -> bool:
    for info in self.locals['infos']:
      if 'episode' in info:
        self._seen.episode(info['episode']['r'])
    self._seen.frames(self.num_timesteps)
    return True


def main():
  name, arguments, frames, seed, path = tasks.parse(sys.argv[1:])
  environment = monitor.Monitor(tasks.Task(name, arguments, seed))
  seen = curve.Curve(path)
  model = sb3_contrib.RecurrentPPO(
    'MlpLstmPolicy', environment, seed=seed, device='cpu'
  )
  model.learn(frames, callback=_Watcher(seen))
  seen.finish(model.num_timesteps)


if __name__ == '__main__':
  main()
