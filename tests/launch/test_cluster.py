"""Cluster launches up to the point where a cluster is needed."""

import json
import os
import pickle
import shlex

import pytest

from launch.clusters import colocation
from launch.clusters import tasks

_SMALL = ('--platform=slurm', '--dry_run', '--num_actors=2')


@pytest.fixture(autouse=True)
def few_words(monkeypatch):
  monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', '2')


@pytest.fixture
def commands(tmp_path, monkeypatch):
  """Makes commands that come before all others on the PATH."""
  folder = tmp_path / 'bin'
  folder.mkdir()
  monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')

  def make(name, *lines):
    path = folder / name
    path.write_text('\n'.join(['#!/bin/sh', *lines, '']))
    path.chmod(0o755)

  return make


def _directives(script):
  """Options for sbatch, a list for each component of the job."""
  components = [[]]
  with open(script, encoding='utf-8') as file:
    for line in file:
      if line.startswith('#SBATCH '):
        (option,) = shlex.split(line)[1:]
        if option == 'hetjob':
          components.append([])
        else:
          components[-1].append(option)
  return components


def test_one_group_by_default(launch, tmp_path, monkeypatch):
  monkeypatch.setenv('SLURM_JOB_ID', '61')
  done = launch('cluster.py', *_SMALL, '--workdir=run', '--num_distillers=2')
  assert done.status == 0, done.error
  folder = tmp_path / 'run' / 'slurm'
  assert f'sbatch {folder}/job.sh' in done.out
  (options,) = _directives(folder / 'job.sh')
  table = tasks.read(str(folder))
  # replay, counter, monitor, evaluator, 2 actors, learner, runner, distillers.
  assert len(table) == 9
  assert '--ntasks=9' in options and '--cpus-per-task=1' in options
  assert {'--requeue', '--no-kill', '--signal=B:TERM@90'} <= set(options)
  assert f'--output={folder}/job-%j.out' in options
  assert not [o for o in options if o.startswith(('--partition', '--gres'))]
  assert '--mem-per-cpu=2G' in options
  ports = [port for task in table for port in task.ports]
  # The number of the job gives it ports of its own, in a random order.
  assert set(ports) < set(range(20_200, 20_400))
  assert len(set(ports)) == len(ports) and sorted(ports) != ports
  # Parameters and two distillers each serve on a port of their own.
  (distill,) = [task for task in table if task.pool == 'distill']
  assert distill.name == 'distill_0' and len(distill.ports) == 3
  assert not [task for task in table if 'actor_' in task.name and task.ports]
  learns = {
    t.name for t in table if 'CUDA_VISIBLE_DEVICES' not in t.environment
  }
  assert learns == {'learner_0', 'learner_runner_0'}
  with open(tmp_path / 'run' / 'config.json', encoding='utf-8') as file:
    assert json.load(file)['config']['num_actors'] == 2


def test_a_dry_run_may_be_tried_again(launch, tmp_path):
  for flags in ((), ('--num_actors=3',)):
    done = launch('cluster.py', *_SMALL, '--workdir=my run', *flags)
    assert done.status == 0, done.error
  run = tmp_path / 'my run'
  with open(run / 'config.json', encoding='utf-8') as file:
    assert json.load(file)['config']['num_actors'] == 3
  submit = done.out.splitlines()[-1].partition('to submit it: ')[2]
  assert shlex.split(submit) == ['sbatch', f'{run}/slurm/job.sh']
  (run / 'node_logs').mkdir()  # As soon as it began.
  done = launch('cluster.py', *_SMALL, '--workdir=my run')
  assert 'holds another run' in done.refusal()


def test_a_failure_after_the_checks_leaves_no_files(launch, tmp_path):
  # A line of the script cannot say it; that is known after the folder is made.
  done = launch('cluster.py', *_SMALL, '--workdir=my\nrun')
  assert done.status == 1
  assert 'control characters' in done.refusal()
  assert not os.listdir(tmp_path)


def test_functions_know_each_others_addresses(launch, tmp_path, monkeypatch):
  done = launch('cluster.py', *_SMALL, '--workdir=run', '--base_port=30000')
  assert done.status == 0, done.error
  folder = str(tmp_path / 'run' / 'slurm')
  table = tasks.read(folder)
  with open(tasks.functions_path(folder), 'rb') as file:
    functions = pickle.load(file)
  assert len(functions) == len(table)
  hosts = [f'host{number}' for number in range(len(table))]
  monkeypatch.setenv('ALD_TASK_HOSTS', ','.join(hosts))
  served = {}
  for number, (task, function) in enumerate(zip(table, functions)):
    node = function.__self__
    found = [address.resolve() for address in node.addresses]
    assert found == [f'host{number}:{port}' for port in task.ports]
    served[task.name] = found
  # An actor's addresses: replay, parameters, counter and monitor.
  actor = functions[[task.name for task in table].index('actor_0')].__self__
  known = [handle._address.resolve() for handle in actor.input_handles]
  assert known == [
    served['replay_0'][0],
    served['distill_0'][0],
    served['counter_0'][0],
    served['monitor_0'][0],
  ]


def test_groups_that_need_different_machines(launch, tmp_path):
  done = launch(
    'cluster.py',
    *_SMALL,
    '--workdir=my run',
    '--cpus=2',
    '--learner_cpus=8',
    '--learner_gres=gpu:1',
    '--distill_cpus=5',
    '--partition=long',
    '--time=2:00:00',
    '--sbatch=--account=mine',
    '--sbatch=--comment=two words',
  )
  assert done.status == 0, done.error
  rows = [line.split() for line in done.out.splitlines()]
  assert ['3', 'learner_0', '1', '8', 'gpu:1', '1'] in rows, done.out
  folder = tmp_path / 'my run' / 'slurm'
  first, learner, distill, actors = _directives(folder / 'job.sh')
  assert f'--output={folder}/job-%j.out' in first
  for options in (first, learner, distill, actors):
    # Slurm would end some of the components, and leave the others.
    assert '--no-kill' not in options
    assert {
      '--partition=long',
      '--time=2:00:00',
      '--account=mine',
      '--comment=two words',
    } <= set(options)
  assert {'--ntasks=3', '--cpus-per-task=2'} <= set(first)
  assert {
    '--ntasks=2',
    '--cpus-per-task=8',
    '--gres=gpu:1',
    '--nodes=1',
  } <= set(learner)
  assert {'--ntasks=1', '--cpus-per-task=5'} <= set(distill)
  assert {'--ntasks=3', '--cpus-per-task=2'} <= set(actors)
  # Tasks are numbered through the components, in the table's order.
  table = tasks.read(str(folder))
  pools = [task.pool for task in table]
  assert pools == [
    *(['replay'] * 3 + ['learner'] * 2),
    *(['distill'] + ['actors'] * 3),
  ]
  assert table[3].environment['TF_NUM_INTRAOP_THREADS'] == '8'
  # The job is told the same again.
  script = (folder / 'job.sh').read_text()
  (last,) = [x for x in script.splitlines() if x.startswith('exec ')]
  assert {
    f'--workdir={tmp_path}/my run',
    '--learner_gres=gpu:1',
    '--distill_cpus=5',
  } <= set(shlex.split(last))


def test_agents_without_distillers(launch, tmp_path):
  done = launch('cluster.py', *_SMALL, '--workdir=run', '--agent=lstm')
  assert done.status == 0, done.error
  table = tasks.read(str(tmp_path / 'run' / 'slurm'))
  assert 'distill' not in {task.pool for task in table}
  assert len(table) == 7  # And no learner runner.


def test_submits(launch, commands, tmp_path):
  run = tmp_path / 'run'
  commands('sinfo', 'echo main', 'echo "long"')
  commands(
    'sbatch',
    f'echo "$@" >> {tmp_path}/called',
    f'flock --nonblock {run}/.lock true || echo locked >> {tmp_path}/called',
    'echo "42;cluster"',
  )
  done = launch(
    'cluster.py', '--platform=slurm', '--workdir=run', '--partition=long'
  )
  assert done.status == 0, done.error
  assert 'Submitted job 42' in done.out
  called = (tmp_path / 'called').read_text().splitlines()
  # The job takes the lock: by then it must be free.
  script = f'{run}/slurm/job.sh'
  assert called == [f'--test-only {script}', f'--parsable {script}']


def test_errors_of_sbatch(launch, commands, tmp_path):
  commands(
    'sbatch',
    'echo "sbatch: error: Invalid account" >&2',
    'echo "sbatch: error: Batch job submission failed" >&2',
    'exit 1',
  )
  done = launch('cluster.py', '--platform=slurm', '--workdir=run')
  assert done.status == 1
  assert 'Invalid account' in done.refusal()
  assert 'submission failed' in done.refusal()
  assert os.listdir(tmp_path) == ['bin']  # The same may be tried again.
  made = launch('cluster.py', *_SMALL, '--workdir=run')
  assert made.status == 0, made.error
  before = (tmp_path / 'run' / 'config.json').read_text()
  done = launch(
    'cluster.py',
    '--platform=slurm',
    *('--workdir=run', '--resume', '--num_actors=9'),
  )
  assert done.status == 1 and 'Invalid account' in done.refusal()
  assert (tmp_path / 'run' / 'config.json').read_text() == before


def test_sbatch_without_a_cluster(launch, commands):
  said = 'sbatch: fatal: Could not establish a configuration source'
  commands('sbatch', f'echo "{said}" >&2', 'exit 1')
  done = launch('cluster.py', '--platform=slurm', '--workdir=run')
  assert done.status == 1
  assert said in done.refusal() and 'submission host' in done.refusal()
  assert 'resources' not in done.refusal()


@pytest.mark.parametrize(
  'flags,status,texts',
  [
    (('--platform=pbs',), 2, ('platform', 'pbs', 'slurm', 'vertex_ai')),
    ((), 2, ('--platform',)),
    (('--platform=slurm',), 1, ('sbatch', '--dry_run')),
    (
      ('--platform=slurm', '--dry_run', '--sbatch=account=x'),
      2,
      ('sbatch', 'account=x', '--sbatch=--account'),
    ),
    (
      ('--platform=slurm', '--dry_run', '--time=1:00\nid'),
      2,
      ('time', "'1:00\\nid'", 'one line'),
    ),
    (('--platform=slurm', '--dry_run', '--time=soon'), 2, ('time', 'soon')),
    (
      ('--platform=slurm', '--dry_run', '--mem_per_cpu=lots'),
      2,
      ('mem_per_cpu', 'lots', '2G'),
    ),
    (
      ('--platform=slurm', '--dry_run', '--learner_gres=a gpu'),
      2,
      ('learner_gres', 'a gpu', 'gpu:1'),
    ),
    (
      ('--platform=slurm', '--dry_run', '--sbatch=--comment=a\nid'),
      2,
      ('sbatch', 'one line'),
    ),
    (('--platform=slurm', '--dry_run', '--cpus=0'), 2, ('cpus', '0')),
    (('--platform=slurm', '--dry_run', '--base_port=80'), 2, ('base_port',)),
    (
      ('--platform=slurm', '--dry_run', '--workdir=file/run'),
      1,
      ('workdir', 'file/run', 'cannot be written'),
    ),
    (
      ('--platform=slurm', '--dry_run', '--environment=pong'),
      2,
      ('environment', 'pong'),
    ),
    (('--platform=slurm', '--dry_run', '--resume'), 2, ('--workdir',)),
    (('--platform=vertex_ai',), 1, ('xmanager', 'install', '--dry_run')),
    (
      ('--platform=vertex_ai', '--resume', '--workdir=run'),
      2,
      ('--resume', 'vertex_ai', 'slurm'),
    ),
    (('--platform=vertex_ai', '--accelerator=abacus'), 2, ('abacus', 't4')),
  ],
)
def test_bad_input(flags, status, texts, launch, tmp_path, monkeypatch):
  monkeypatch.setenv('PATH', str(tmp_path))
  (tmp_path / 'file').write_text('')
  done = launch('cluster.py', *flags)
  assert done.status == status, done.error
  for text in texts:
    assert text in done.refusal()
  assert os.listdir(tmp_path) == ['file']


def test_unknown_partition(launch, commands, tmp_path):
  commands('sinfo', 'echo main')
  commands('sbatch', f'touch {tmp_path}/called')
  done = launch('cluster.py', '--platform=slurm', '--partition=mian')
  assert done.status == 2
  assert "'mian'" in done.refusal() and 'main' in done.refusal()
  assert os.listdir(tmp_path) == ['bin']


def test_an_existing_run_is_not_touched(launch, tmp_path):
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'config.json').write_text('{"precious": true}')
  done = launch('cluster.py', *_SMALL, '--workdir=run')
  assert done.status == 1
  assert 'holds another run' in done.refusal()
  assert os.listdir(tmp_path / 'run') == ['config.json']


def test_help_names_the_flags(launch):
  done = launch('cluster.py', '--help')
  assert done.status == 0
  for flag in ('--platform', '--dprl', '--base_port', '--accelerator'):
    assert flag in done.out


@pytest.mark.parametrize(
  'flags,nodes,distill_machine',
  [
    (('--num_actors=1',), 8, 'n1-highcpu-16'),
    (('--num_actors=40', '--num_distillers=20'), 49, 'n1-highcpu-32'),
    (('--agent=gtrxl', '--num_actors=3'), 8, None),
  ],
)
def test_jobs_of_vertex_ai(flags, nodes, distill_machine, launch, tmp_path):
  done = launch(
    'cluster.py', '--platform=vertex_ai', '--dry_run', '--workdir=run', *flags
  )
  assert done.status == 0, done.error
  folder = tmp_path / 'run' / 'vertex_ai'
  with open(folder / 'custom_job.json', encoding='utf-8') as file:
    pools = json.load(file)['jobSpec']['workerPoolSpecs']
  # Vertex AI takes four pools, and one replica in the first.
  assert len(pools) <= 4
  replicas = [pool['replicaCount'] for pool in pools]
  assert replicas[0] == 1 and sum(replicas) == nodes and min(replicas) > 0
  accelerated = [p for p in pools if 'acceleratorType' in p['machineSpec']]
  # The learner; its runner, where there is one.
  learns = 1 + bool(distill_machine)
  assert [p['replicaCount'] for p in accelerated] == [learns]
  # Replay, counter, monitor, and what learns; the distillers are one.
  cores, revived = 3 + learns + bool(distill_machine), 0
  if '--num_actors=40' in flags:
    cores += 2  # Cachers.
  if distill_machine:
    assert pools[0]['machineSpec']['machineType'] == distill_machine
  for number, pool in enumerate(pools):
    assert pool['containerSpec']['imageUri'].endswith(f'workerpool{number}')
    assert f'workerpool{number}' in done.out
    # A replica's index is that of its node's function.
    with open(folder / f'workerpool{number}' / 'job.pkl', 'rb') as file:
      functions = pickle.load(file)
    assert len(functions) == pool['replicaCount']
    again = [
      isinstance(function.__self__, colocation.Revived)
      for function in functions
    ]
    assert all(again) or not any(again)
    revived += sum(again)
    # CUDA is large: it goes where it is of use.
    wanted = (folder / f'workerpool{number}' / 'requirements.txt').read_text()
    assert 'dm-launchpad==0.5.0' in wanted
    assert ('nvidia-cudnn' in wanted) == (pool in accelerated)
  assert revived == nodes - cores
  assert {'ald_acme', 'agents', 'launch', 'process_entry.py'} <= set(
    os.listdir(folder / 'code')
  )
  assert not {'runs', '.git', '.venv', 'tests'} & set(
    os.listdir(folder / 'code')
  )
  recipe = (folder / 'Dockerfile').read_text()
  assert 'FROM python:3.10' in recipe
  assert 'COPY ${POOL}/requirements.txt' in recipe
  assert '/gcs/GOOGLE_CLOUD_BUCKET_NAME-IS-NOT-SET/run' in done.out


def test_more_distillers_than_a_machine_has_cores(launch, tmp_path):
  done = launch(
    'cluster.py',
    *('--platform=vertex_ai', '--dry_run', '--workdir=run'),
    '--num_distillers=96',
  )
  assert done.status == 2
  assert not os.listdir(tmp_path)  # The same may be tried again.
  assert 'num_distillers' in done.refusal() and '96' in done.refusal()
