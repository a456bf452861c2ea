"""The commands, files and links in README, pages and docstrings exist."""

import ast
import glob
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(__file__))
_PAGES = glob.glob('docs/*.md', root_dir=ROOT)
_READMES = [
  *('README.md', 'SECURITY.md', 'results/README.md'),
  *glob.glob('agents/*/README.md', root_dir=ROOT),
]
_FOLDERS = ('ald_acme', 'agents', 'launch', 'examples', 'benchmarks', 'tests')
# A source file or page, also with a part of its path; or anything in a folder.
_FILE = re.compile(
  r'(?<![\w./:~<>{$*-])((?:[\w-]+/)*[\w-]+\.(?:py|md|toml|yml)(?![\w/])'
  rf'|(?:{"|".join(_FOLDERS)}|docs|results)(?:/[\w.-]+)+)'
)
_LINK = re.compile(r'\]\(([^)\s#:]*)(?:#([\w-]+))?\)')
# Launchpad's, of an export, and of a sweep.
_NOT_HERE = {
  'process_entry.py',
  'runs/mine/export/numpy/act.py',
  'sweeps/mine/sweep.md',
}
_COMMAND = re.compile(r'^(?:python|uv run|.*&& uv run) (launch/\w+\.py)(.*)$')
_PARSE = """
import importlib, json, sys
from launch import bootstrap

bootstrap.prepare()
module = importlib.import_module(sys.argv[1])
from absl import flags

found = {}
for arguments in json.load(sys.stdin):
  flags.FLAGS.unparse_flags()
  for name in flags.FLAGS:
    flags.FLAGS[name].unparse()
  try:
    if hasattr(module, '_parse'):  # It uses argparse, which exits.
      module._parse(arguments)
    else:
      flags.FLAGS([sys.argv[1], *arguments])
  except (SystemExit, flags.Error) as error:
    found[' '.join(arguments)] = str(error)
print(json.dumps(found))
"""


def _commands():
  """`{script: {arguments}}` of all pages."""
  found = {}
  for page in ['README.md', 'SECURITY.md', *_PAGES]:
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
      blocks = re.findall(r'```sh\n(.*?)```', file.read(), re.DOTALL)
    for line in '\n'.join(blocks).replace('\\\n', ' ').splitlines():
      command = _COMMAND.match(line.partition('  #')[0].strip())
      if command:
        arguments = tuple(shlex.split(command.group(2)))
        found.setdefault(command.group(1), set()).add(arguments)
  return found


COMMANDS = _commands()


def test_there_are_commands():
  assert {'launch/local.py', 'launch/cluster.py'} <= COMMANDS.keys()
  assert sum(map(len, COMMANDS.values())) > 30


@pytest.mark.parametrize('script', sorted(COMMANDS))
def test_flags(script):
  done = subprocess.run(
    [sys.executable, '-c', _PARSE, script[:-3].replace('/', '.')],
    input=json.dumps(sorted(COMMANDS[script])),
    capture_output=True,
    text=True,
    cwd=ROOT,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout.splitlines()[-1]) == {}


def _read(path):
  with open(os.path.join(ROOT, path), encoding='utf-8') as file:
    return file.read()


def _files():
  """All files and folders, with each of their paths' ends."""
  found = set()
  for folder, folders, names in os.walk(ROOT):
    folders[:] = [x for x in folders if x[0] != '.' and x != '__pycache__']
    for name in (*folders, *names):
      parts = os.path.relpath(os.path.join(folder, name), ROOT).split(os.sep)
      found |= {'/'.join(parts[i:]) for i in range(len(parts))}
  return found


def _docstrings(path):
  for node in ast.walk(ast.parse(_read(path))):
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
      yield ast.get_docstring(node) or ''


def _missing(text, files):
  named = {name.rstrip('/.') for name in _FILE.findall(text)}
  return sorted(named - files - _NOT_HERE)


def test_files_exist():
  files = _files()
  texts = {page: _read(page) for page in (*_READMES, *_PAGES)}
  for folder in _FOLDERS:
    for path in glob.glob(f'{folder}/**/*.py', root_dir=ROOT, recursive=True):
      texts[path] = '\n'.join(_docstrings(path))
  found = {path: _missing(text, files) for path, text in texts.items()}
  assert {path: names for path, names in found.items() if names} == {}
  assert _missing('`launch/locl.py`, policy.py and docs/no.md.', files) == [
    *('docs/no.md', 'launch/locl.py', 'policy.py')
  ]


def _anchors(page):
  """The anchors of a page's headings."""
  headings = re.findall(r'^#+ (.*)$', _read(page), re.MULTILINE)
  words = (re.sub(r'[^\w\s-]', '', heading.lower()) for heading in headings)
  return {text.strip().replace(' ', '-') for text in words}


@pytest.mark.parametrize('page', [*_READMES, *_PAGES])
def test_links(page):
  for path, anchor in _LINK.findall(_read(page)):
    target = os.path.join(os.path.dirname(page), path) if path else page
    assert os.path.exists(os.path.join(ROOT, target)), path
    if anchor:
      assert anchor in _anchors(os.path.normpath(target)), f'{path}#{anchor}'
