"""The commands in README and the pages exist."""

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
