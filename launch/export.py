"""Exports the acting policy of a run, to use without this package.

Example:
  python launch/export.py --workdir=runs/mine --format=numpy
"""

from __future__ import annotations

import os
import sys
import tempfile
import typing

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()
# Read when numpy and TensorFlow are imported; latency is of one thread.
os.environ.update(
  {
    'TF_NUM_INTRAOP_THREADS': '1',
    'TF_NUM_INTEROP_THREADS': '1',
    'OMP_NUM_THREADS': '1',
    'OPENBLAS_NUM_THREADS': '1',
    'CUDA_VISIBLE_DEVICES': '-1',
  }
)
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import flags
from absl import logging

from agents import trained
from ald_acme.deployment import act
from ald_acme.deployment import latency
from ald_acme.environments.interface import masks
from launch import command_line
from launch import trust

if typing.TYPE_CHECKING:
  import sonnet as snt

  from ald_acme.deployment import step as steps
  from ald_acme.networks import protocols

flags.adopt_module_key_flags(trust)

_WORKDIR = flags.DEFINE_string('workdir', None, "The run's folder.")
trust.define_code()
_FORMAT = flags.DEFINE_enum(
  'format',
  None,
  act.FORMATS,
  'Format of the export; docs/deploy.md compares them.',
)
_OUTPUT = flags.DEFINE_string(
  'output',
  None,
  "Folder of the export, by default export/<format> in the run's folder; "
  'replaces an earlier export.',
)
_LATENCY_BUDGET = flags.DEFINE_float(
  'latency_budget_us',
  None,
  "Fail if the 99th percentile of a step's latency is above this, in "
  'microseconds.',
)
_EPISODES = 3  # Recorded for the comparison.
_TOLERANCE = 1e-4  # Of policy parameters and values.


def main() -> None:
  form, budget = command_line.require(_FORMAT), _LATENCY_BUDGET.value
  if budget is not None and not budget > 0:
    raise command_line.UsageError(
      f'--latency_budget_us must be above 0, but received {budget}.'
    )
  run = trained.read(command_line.require(_WORKDIR))
  trust.require(vars(run), *trust.given())
  output = os.path.abspath(
    _OUTPUT.value or os.path.join(run.folder.path, 'export', form)
  )
  command_line.prepare_folder(os.path.dirname(output), 'output')
  agent = trained.load(run)
  logging.set_verbosity(logging.WARNING)  # TensorFlow logs its files.
  from ald_acme.deployment import step as exported_steps

  step = exported_steps.Step(agent.network('actor'), agent.environment_spec)
  _export(agent, step, form, output)

  print('measuring latency, of each format and of the networks ...', flush=True)
  latencies = _measure(agent, step, form, output)
  print(f'{"microseconds a step, one thread":36}{"p50":>10}{"p99":>10}')
  for name, (p50, p99) in latencies.items():
    print(f'{name:36}{p50:10.1f}{p99:10.1f}')
  p50, p99 = next(iter(latencies.values()))  # Of the export.
  if budget is not None and p99 > budget:
    raise ValueError(
      f'a step of the export takes {p50:.1f} us (p50) and {p99:.1f} us (p99), '
      f'more than --latency_budget_us={budget:g}; it stays in {output}. Try '
      'another format, or train a smaller actor.'
    )


def _export(
  agent: trained.Trained, step: steps.Step, form: str, output: str
) -> None:
  """Writes the export after comparing it with the network."""
  from ald_acme.acting import recording
  from ald_acme.deployment import agreement
  from ald_acme.deployment import exporting

  run, network = agent.run, agent.network('actor')
  environment = run.make_environment(1, seed=0)
  episodes = [
    recording.record(
      environment,
      network,
      seed,
      max_steps=run.experiment.evaluation_max_steps,
    )
    for seed in range(_EPISODES)
  ]
  environment.close()
  source = {
    'workdir': os.path.abspath(run.folder.path),
    'agent': run.agent,
    'environment': run.environment,
    'environment_kwargs': run.environment_kwargs,
    'seed': run.config.seed,
    'git_commit': run.commit,
    'checkpoint': os.path.basename(agent.checkpoint),
    'frames': agent.frames,
  }
  with exporting.replacing(output) as folder:
    exporting.export(step, form, folder, source)
    difference = agreement.largest_difference(act.load(folder), step, episodes)
    if not difference <= _TOLERANCE:  # It may be NaN.
      raise ValueError(
        f'the export differs from the network by {difference:g} in policies '
        f'or values, more than {_TOLERANCE:g}; nothing was written. Report '
        'this as a bug.'
      )
  print(f'exported {agent.checkpoint} ({agent.frames:,} frames)')
  print(f'to {output}')
  print(
    f'largest difference to the network: {difference:.2g}, in policies and '
    f'values of {sum(episode.length for episode in episodes):,} steps'
  )


def _measure(
  agent: trained.Trained, step: steps.Step, form: str, output: str
) -> dict[str, latency.Latency]:
  """Times the export, the other formats and the networks in TensorFlow.

  The networks are stepped as in training.
  """
  from ald_acme.acting import policies
  from ald_acme.deployment import exporting

  environment = agent.run.make_environment(1, seed=0)
  timestep = environment.reset()
  action = masks.lowest(
    environment.action_spec(),
    environment.observation_spec(),
    timestep.observation,
  )
  timestep = environment.step(action)
  environment.close()

  def exported(folder: str) -> latency.Latency:
    policy = act.load(folder)
    observation = policy.blank()  # Latency does not depend on it.
    return latency.measure(lambda: policy.act(observation))

  def in_tensorflow(network: protocols.Network) -> latency.Latency:
    spec = agent.environment_spec.observations
    own = policies.BatchedPolicy(network, spec, 1, seed=0)
    return latency.measure(lambda: own.step(own.inputs(timestep)))

  latencies = {f'the export: {_memory(step.network)}, {form}': exported(output)}
  for other in act.FORMATS:
    if other == form:
      continue
    with tempfile.TemporaryDirectory() as folder:
      try:
        exporting.export(step, other, folder, {})
      except ValueError:  # Not every format supports every policy.
        continue
      latencies[f'the same, {other}'] = exported(folder)
  for policy in trained.POLICIES:
    network = agent.network(policy)
    name = f'the {policy} in training: {_memory(network)}'
    latencies[name] = in_tensorflow(network)
  return latencies


def _memory(network: snt.Module) -> str:
  """The names of the recurrent cores of a network."""
  from ald_acme.networks import core

  return ' and '.join(
    type(module).__name__
    for module in network.submodules
    if isinstance(module, core.UnrollableCore)
  )


if __name__ == '__main__':
  command_line.run(main)
