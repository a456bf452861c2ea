"""Plays a trained agent on its task with other arguments."""

import csv
import dataclasses
import io
import os
import sys

sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from launch import bootstrap

bootstrap.prepare()
os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from agents import trained
from ald_acme.runs import files


def main() -> None:
  path, workdir, policies, episodes, *environments = sys.argv[1:]
  agent = trained.load(trained.read(workdir))
  rows = [('policy', 'environment_kwargs', 'episodes', 'return', 'length')]
  for policy in policies.split(','):
    for kwargs in environments:
      run = dataclasses.replace(agent.run, environment_kwargs=kwargs)
      played = dataclasses.replace(agent, run=run).play(policy, int(episodes))
      means = played.returns.mean(), played.lengths.mean()
      rows.append((policy, kwargs, episodes, *means))
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(rows)
  with files.atomic(path) as file:
    file.write(text.getvalue().encode())


if __name__ == '__main__':
  main()
