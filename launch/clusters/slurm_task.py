"""One task of a job: runs one node, and notes how it ended."""

import os
import signal
import socket
import subprocess
import sys
import time

from launch.clusters import tasks

END = 'end'  # A file of this name in the logs' folder ends the tasks.
EXIT = '.exit'  # A file of a node's name and this has its exit code.
_POLL = 0.5  # Seconds between looks at the node and at the folder.


def main(folder: str, logs: str) -> int:
  """Runs the node whose number is the task's.

  Args:
    folder: of the nodes' files.
    logs: folder for what the nodes print.

  Returns:
    Exit code of the task.
  """
  # A job that is cancelled sends this to every task and to the job's script.
  # The script then has the monitor save, and nodes must go on until it has.
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # Inherited.
  number = int(os.environ['SLURM_PROCID'])
  task = tasks.read(folder)[number]
  with open(
    os.path.join(logs, f'{task.name}.log'), 'w', encoding='utf-8'
  ) as log:
    code = _taken(task, log) or _run(task, number, folder, logs, log)
  if code is None:
    return 0
  path = os.path.join(logs, task.name + EXIT)
  with open(f'{path}.tmp', 'w', encoding='utf-8') as file:
    file.write(str(code))
  os.replace(f'{path}.tmp', path)
  return 1


def _taken(task: tasks.Task, log) -> int | None:
  """1, and a line in the log, if another program has a port of the node.

  Servers would share the port and take each other's calls.
  """
  for port in task.ports:
    with socket.socket() as probe:
      probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      try:
        probe.bind(('', port))
      except OSError as error:
        log.write(
          f'OSError: port {port} of {socket.gethostname()} cannot be used '
          f'({error.strerror}); choose others with --base_port.\n'
        )
        return 1
  return None


def _run(task, number, folder, logs, log) -> int | None:
  """Runs the node; its exit code, None if the job has ended it."""
  node = subprocess.Popen(
    tasks.command(tasks.functions_path(folder), number),
    env={**os.environ, **task.environment},
    stdin=subprocess.DEVNULL,
    stdout=log,
    stderr=subprocess.STDOUT,
    start_new_session=True,  # It may have processes of its own.
  )
  end = os.path.join(logs, END)
  while node.poll() is None:
    if os.path.exists(end):
      os.killpg(node.pid, signal.SIGKILL)
      node.wait()
      return None
    time.sleep(_POLL)
  return node.returncode


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))
