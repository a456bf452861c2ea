"""A fake `launch/local.py` that writes a run's folder immediately.

What it does is in the variable FAKE: nothing, it finishes the run; 'fail LABEL'
of the run to fail; 'wait': it waits to be interrupted.
"""

import ast
import os
import signal
import sys
import time

from agents import settings
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder


def finish(path, fields, rows=None, agent='ald', **description):
  """Makes the folder of a finished run.

  Args:
    path: of the folder.
    fields: of the configuration.
    rows: of the evaluator's log, a dictionary each; by default the return is
      0.1 (seed + 1) more each tenth of the frames, and a frame is a
      thousandth of a second.
    agent: its name.
    **description: more of config.json.
  """
  folder = run_folder.RunFolder(path)
  os.makedirs(folder.logs)
  known, fields = settings.fields_of(agent), settings.nest(fields)
  made = settings.make(agent, {k: v for k, v in fields.items() if k in known})
  config, experiment = made.config, made.experiment
  if rows is None:
    rows = []
    for tenth in range(11):
      frames = experiment.max_frames * tenth // 10
      rows.append(
        {
          'frames': frames,
          'wall_seconds': frames / 1000,
          'actor_updates': frames // 100,
          'actor_return': min(1.0, 0.1 * tenth * (config.seed + 1)),
        }
      )
  with open(os.path.join(folder.logs, 'evaluator.csv'), 'w') as file:
    for row in [rows[0].keys(), *(row.values() for row in rows)]:
      file.write(','.join(map(str, row)) + '\n')
  files.write_json(
    folder.config,
    {
      'agent': agent,
      'environment': 'i_maze',
      'environment_kwargs': '',
      'seed': config.seed,
      'config': {**fields, **made.flat()},  # Earlier versions wrote more.
      'git_commit': '0123456789abcdef',
      **description,
    },
  )
  solved = next((row for row in rows if row['actor_return'] >= 0.95), {})
  files.write_json(
    folder.summary,
    {
      'frames': rows[-1]['frames'],
      'wall_seconds': rows[-1].get('wall_seconds', 12.5),
      'final_return': rows[-1]['actor_return'],
      'solved_at_frames': solved.get('frames'),
      'solved_at_seconds': solved.get('wall_seconds'),
      **({'actor_updates': 80} if agent == 'ald' else {}),
      'learner_updates': 20,
      'seed': config.seed,
      'stopped_because': 'max_frames',
    },
  )
  return folder


def main():
  flags = dict(flag[2:].split('=', 1) for flag in sys.argv[1:])
  path, fake = flags['workdir'], os.environ.get('FAKE', '')
  if fake.startswith('fail') and path.endswith(fake[5:]):
    sys.exit('error: this run fails')
  if fake == 'wait':
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    print('waiting', flush=True)
    while True:
      time.sleep(0.1)
  finish(
    path,
    {
      name[7:]: _value(text)
      for name, text in flags.items()
      if name.startswith('config.')
    },
    agent=flags['agent'],
    environment=flags['environment'],
    environment_kwargs=flags['environment_kwargs'],
  )


def _value(text):
  try:
    return ast.literal_eval(text)
  except ValueError:
    return text


if __name__ == '__main__':
  main()
