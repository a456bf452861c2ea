"""Invalid command lines: a one-line error, status 2 or 1, no files."""

import ast
import glob
import json
import os
import signal
import subprocess
import sys

import pytest

from agents import settings
from ald_acme.runs import folder as run_folder

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
LOCAL = os.path.join(ROOT, 'launch', 'local.py')


def run(*arguments, cwd=None):
  return subprocess.run(
    [
      sys.executable,
      LOCAL,
      *(x if isinstance(x, bytes) else str(x) for x in arguments),
    ],
    capture_output=True,
    text=True,
    cwd=cwd,
    check=False,
    timeout=120,
  )


def assert_refused(result, status, *texts):
  error = result.stderr
  assert result.returncode == status, error
  assert 'Traceback' not in error
  lines = [line for line in error.splitlines() if line.startswith('error: ')]
  assert len(lines) == 1, error
  for text in texts:
    assert text in lines[0]


@pytest.mark.parametrize(
  'flag,texts',
  [
    ('--seed=abc', ('seed', 'abc', 'an integer')),
    ('--seed=-1', ('seed', '-1', 'at least 0')),
    ('--dprl=0', ('dprl', '0.0', 'above 0')),
    ('--dprl=5000', ('dprl', '5000', 'limiter')),
    ('--dprl=nan', ('dprl', 'nan')),
    ('--dprl=much', ('dprl', 'much', 'a number')),
    ('--num_actors=0', ('num_actors', '0', 'at least 1')),
    ('--num_actors=1.5', ('num_actors', '1.5')),
    ('--envs_per_actor=-4', ('envs_per_actor', '-4')),
    ('--preset=huge', ('preset', 'huge', 'small')),
    ('--config.loss=ppo', ('loss', 'ppo', 'vtrace')),
    ('--config.discount=2', ('discount', '2')),
    ('--config.no_such_field=1', ("no field 'no_such_field'", '--help')),
    ('--config.discuont=1', ("'discuont'", 'mean config.discount?')),
    ('--config=3', ('--config=3', '--config.<field>')),
    ('--config.unroll_length=x', ('unroll_length', 'x')),
    ('--config.networks.gtrxl_heads=5', ('gtrxl_width', '64', 'gtrxl_heads=5')),
    ('--config.distill_min_size=40', ('distill_min_size=40', 'deadlock')),
    ('--no_such_flag=1', ('no_such_flag',)),
    ('stray', ('stray',)),
    ('--environment=pong', ('environment', 'pong', 'i_maze')),
    ('--environment=', ('environment', "''", 'i_maze')),
    ('--environment=no.such:thing', ('no.such:thing',)),
    ('--environment_kwargs=size=8', ('size', '8', 'odd')),
    ('--environment_kwargs=colour=3', ('colour', 'limit')),
    ('--environment_kwargs=size', ('environment_kwargs', 'size')),
    ('--environment_kwargs=size=5,size=7', ('size once', 'size=5,size=7')),
    ('--environment_kwargs=size=99999999', ('size', '99999999', 'Memory')),
    ('--workdir=', ('--workdir', "''")),
    ('--resume', ('--resume', '--workdir')),
    ('--resume=maybe', ('--resume=maybe', 'true or false')),
    ('--agent=ppo', ('agent', 'ppo', 'asymmetric')),
    ('--only_check_args', ('--only_check_args', 'leave it out')),
    (b'--workdir=caf\xe9', ('caf\\xe9', 'UTF-8')),
    ('--environment=sys:exit', ('sys', 'standard library')),
    ('--network_factory=mine', ('network_factory', "'mine'", ':function')),
    ('--network_factory=os:getcwd', ('network_factory', 'standard library')),
    ('--network_factory=no.such:thing', ('no.such:thing', 'PYTHONPATH')),
    (
      '--network_factory=ald_acme.validation:check_types',
      ('network_factory', 'cannot make networks', 'EnvironmentSpec'),
    ),
    (f'--max_frames={"9" * 400}', ('max_frames', '64 bits', '400 digits')),
    (f'--seed={2**63}', ('seed', '64 bits')),
    ('--num_actors=100000', ('num_actors=100000', 'TB', 'this machine has')),
  ],
)
def test_usage(flag, texts, tmp_path):
  assert_refused(run(flag, cwd=tmp_path), 2, *texts)
  assert os.listdir(tmp_path) == []


def test_two_flags_for_one_field(tmp_path):
  result = run('--dprl=2', '--config.dprl=3', cwd=tmp_path)
  assert_refused(result, 2, '--dprl=2', '--config.dprl=3')


def test_distillation_is_not_for_every_agent(tmp_path):
  result = run('--agent=lstm', '--dprl=2', cwd=tmp_path)
  assert_refused(result, 2, 'dprl=2', '--agent=lstm', '--agent=ald')
  result = run('--agent=gtrxl', '--config.kl_direction=forward', cwd=tmp_path)
  assert_refused(result, 2, 'kl_direction=forward', '--agent=gtrxl')


def test_resume_with_another_agent(earlier_run):
  config = {
    'agent': 'lstm',
    'config': {'networks': {}},
    'environment': 'i_maze',
    'environment_kwargs': '',
  }
  (earlier_run / 'config.json').write_text(json.dumps(config))
  result = run('--resume', '--agent=ald', f'--workdir={earlier_run}')
  assert_refused(result, 2, '--agent=ald', "'lstm'")
  config['agent'] = 'ppo'
  (earlier_run / 'config.json').write_text(json.dumps(config))
  result = run('--resume', f'--workdir={earlier_run}')
  assert_refused(result, 2, 'config.json', 'agent', "'ppo'", 'asymmetric')


def test_ctrl_c_before_there_is_a_run(tmp_path, monkeypatch):
  (tmp_path / 'impatient.py').write_text(
    'import os, signal, time\n'
    'def make():\n'
    '  os.kill(os.getpid(), signal.SIGINT)\n'
    '  time.sleep(60)\n'
  )
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  result = run('--environment=impatient:make', cwd=tmp_path)
  assert result.returncode == -signal.SIGINT
  assert result.stderr == ''
  assert not (tmp_path / 'runs').exists()


def test_help_names_the_flags():
  result = run('--help')
  assert result.returncode == 0
  for flag in ('--environment', '--workdir', '--dprl', '--resume', '--config'):
    assert flag in result.stdout
  assert 'By default 600,000.' in result.stdout
  # Lines are broken after hyphens, too.
  shown = ' '.join(result.stdout.split()).replace('- ', '-')
  for field in settings.all_fields().values():
    about = field.metadata.get('about', '').replace('- ', '-')
    assert field.name == 'networks' or about in shown
  others = 'lstm, gtrxl, asymmetric, memoryless'
  assert f'By default 0.1 and 0.0 for {others}.' in shown


def test_environments_are_listed(tmp_path):
  result = run('--environment=list', cwd=tmp_path)
  assert result.returncode == 0, result.stderr
  for text in ('i_maze', 'meta_fetch', 'bandit', 'limit=150', 'trial_episodes'):
    assert text in result.stdout
  assert os.listdir(tmp_path) == []


@pytest.fixture
def earlier_run(tmp_path):
  """A folder as a run leaves it, but without checkpoints."""
  path = tmp_path / 'run'
  path.mkdir()
  (path / 'config.json').write_text('{"precious": true}')
  return path


def test_another_runs_folder(earlier_run):
  result = run(f'--workdir={earlier_run}')
  assert_refused(result, 1, str(earlier_run), 'resume that run')
  assert os.listdir(earlier_run) == ['config.json']


def test_workdir_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  result = run(f'--workdir={tmp_path}/file/run')
  assert_refused(result, 1, 'file/run', 'cannot be written')


def test_workdir_without_end(tmp_path):
  result = run('--workdir=' + 'a/' * 1_500, cwd=tmp_path)
  assert_refused(result, 1, 'workdir', 'name too long')
  assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
  'change, text',
  [
    ({'config': []}, "no 'config'"),
    ({'config': {'networks': []}}, 'config.json was written by'),
    ({'config': {'networks': {'lstm': {}}}}, 'networks.lstm'),
    ({'config': {'networks': {}, 'seed': [1]}}, 'seed'),
    ({'config': {'networks': {}, 'max_frames': {}}}, 'max_frames'),
    ({'config': {'networks': {}, 'loss': None}}, 'loss'),
    ({'agent': ['ald']}, 'agent must be of type str'),
    ({'resumed': 'often'}, 'resumed must be of type int'),
    ({'git_commit': {}}, 'git_commit must be of type str'),
    ({'environment': {}}, "no 'environment'"),
    ({'environment_kwargs': []}, "no 'environment_kwargs'"),
    ({'environment': 'mine:make'}, '--trust'),
    ({'network_factory': 'mine:make'}, '--trust'),
    ({'network_factory': 3}, 'network_factory must be of type str'),
  ],
  ids=str,
)
def test_malformed_config(change, text, earlier_run, monkeypatch):
  config = {
    'agent': 'ald',
    'config': {'networks': {}},
    'environment': 'i_maze',
    'environment_kwargs': '',
  }
  (earlier_run / 'config.json').write_text(json.dumps({**config, **change}))
  folder = run_folder.RunFolder(str(earlier_run))
  # In this process: to start one for each takes seconds.
  from agents import trained

  errors = []
  for read in (options_of, lambda f: trained.read(f.path)):
    try:
      read(folder)
    except ValueError as error:
      errors.append(str(error))
  assert errors and text in errors[0]
  assert len(errors) == 2 or '--trust' in text


def options_of(folder, *arguments):
  """The options of a run that is resumed, with no flags but these."""
  from absl import flags

  from launch import options

  flags.FLAGS.unparse_flags()
  flags.FLAGS(['local.py', *arguments])
  try:
    given = options.given()
    return options.read(given, folder and folder.read_config())
  finally:  # Other tests read the same flags.
    for argument in arguments:
      flags.FLAGS[argument[2:].partition('=')[0]].unparse()
    flags.FLAGS(['local.py'])


def _reads_flags(path):
  """The names of a module's functions that read a flag."""
  with open(path, encoding='utf-8') as file:
    tree = ast.parse(file.read())
  holders = {
    target.id
    for node in tree.body
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    if ast.unparse(node.value.func).startswith('flags.DEFINE_')
    for target in node.targets
  }
  return {
    function.name
    for function in ast.walk(tree)
    if isinstance(function, ast.FunctionDef)
    for node in ast.walk(function)
    if getattr(node, 'attr', None) == 'FLAGS'
    or getattr(node, 'id', None) in holders
  }


def test_flags_are_read_in_one_place_of_a_module():
  """Other functions take values, so that they can be called from Python."""
  found = {}
  for path in glob.glob('launch/**/*.py', root_dir=ROOT, recursive=True):
    names = _reads_flags(os.path.join(ROOT, path)) - {'main', 'given', 'read'}
    if names and path != 'launch/command_line.py':  # It parses them.
      found[path] = names
  assert found == {}


@pytest.mark.parametrize(
  'text',
  [
    'agent: lstm\nenvironment: meta_fetch\ndiscount: 0.9\nnetworks: {lstm: 8}\n'
    'learner_learning_rate: 3e-4\ntarget_return: 2\n',
    '{"agent": "lstm", "environment": "meta_fetch", "seed": 7, "versions": {},'
    '"config": {"discount": 0.9, "networks": {"lstm": 8}, "target_return": 2.0,'
    '"learner_learning_rate": 3e-4}}',
  ],
  ids=('fields', 'config.json'),
)
def test_settings_from_a_file(text, tmp_path):
  path = tmp_path / 'settings'
  path.write_text(text)
  opts = options_of(None, f'--config_file={path}', '--seed=5')
  assert (opts.agent, opts.environment) == ('lstm', 'meta_fetch')
  assert (opts.config.discount, opts.config.seed) == (0.9, 5)
  assert opts.config.learner_learning_rate == 3e-4
  assert (opts.config.networks.lstm, opts.config.networks.torso) == (8, 64)
  assert opts.experiment.target_return == 2.0
  opts = options_of(
    None,
    f'--config_file={path}',
    '--agent=gtrxl',
    '--environment=i_maze',
    '--config.discount=0.5',
    '--preset=tiny',
  )
  assert (opts.agent, opts.environment) == ('gtrxl', 'i_maze')
  assert (opts.config.discount, opts.config.networks.lstm) == (0.5, 8)


@pytest.mark.parametrize(
  'text, texts',
  [
    (None, ('cannot be read', 'No such file')),
    ('discount: [', ('cannot be read',)),
    ('- discount', ("'discount'", 'fields by name')),
    ('discont: 0.9', ('discont=0.9', 'is discount meant?')),
    ('wings: 2', ('wings=2', '--help')),
    ('discount: high', ('discount', "'high'", 'float')),
    ('discount: 2', ('discount', '2.0', 'from 0.0 to 1.0')),
    ('unroll_length: 1.5', ('unroll_length', '1.5', 'int')),
    ('agent: ppo', ('agent', "'ppo'", 'asymmetric')),
    ('agent: lstm\ndprl: 2', ('dprl=2', 'agent lstm')),
    ('environment_kwargs: {size: 5}', ('environment_kwargs', 'text')),
    ('networks: 3', ('networks', '3', 'sizes by name')),
    ('networks: {lstm: 0}', ('networks.lstm', '0', 'at least 1')),
    ('networks: {lsdm: 4}', ('lsdm=4', 'is lstm meant?')),
    ('{"config": {"warp": 9, "networks": {}}}', ('warp', 'version')),
    ('environment: mine:make', ('mine:make', '--trust')),
    ('network_factory: mine:make', ('mine:make', '--trust')),
  ],
)
def test_errors_of_a_file(text, texts, tmp_path):
  path = tmp_path / 'settings.yaml'
  if text is not None:
    path.write_text(text)
  with pytest.raises(ValueError) as error:
    options_of(None, f'--config_file={path}')
  for part in texts:
    assert part in str(error.value)
  assert str(path) in str(error.value) or '--trust' in texts


def test_nothing_to_resume(tmp_path):
  result = run('--resume', f'--workdir={tmp_path}')
  assert_refused(result, 1, str(tmp_path), 'no run to resume')


def test_damaged_config(earlier_run):
  (earlier_run / 'config.json').write_text('{"config": ')
  result = run('--resume', f'--workdir={earlier_run}')
  assert_refused(result, 1, 'config.json', 'not valid JSON')


def test_config_of_another_version(earlier_run):
  config = {
    'config': {'warp': 9, 'networks': {}},
    'environment': 'i_maze',
    'environment_kwargs': '',
  }
  (earlier_run / 'config.json').write_text(json.dumps(config))
  result = run('--resume', f'--workdir={earlier_run}')
  assert_refused(result, 2, 'config.json', 'warp')
