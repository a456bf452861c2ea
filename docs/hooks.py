"""Hooks of MkDocs for building the site."""

import pathlib
import re

from mkdocs import exceptions
from mkdocs.structure import files as mkdocs_files

_ROOT = pathlib.Path(__file__).parent.parent
_PACKAGES = ('agents', 'ald_acme')
_LINK = re.compile(r'\[([^\]]+)\]\((\.\./[^)#]+)[^)]*\)')  # Out of docs/.


def on_files(files: mkdocs_files.Files, config):
  """Adds a reference page for each package."""
  for top in _PACKAGES:
    for path in sorted((_ROOT / top).rglob('__init__.py')):
      package = '.'.join(path.parent.relative_to(_ROOT).parts)
      content = f'::: {package}\n    options: {{heading_level: 1}}\n\n'
      for module in sorted(path.parent.glob('[!_]*.py')):
        content += f'::: {package}.{module.stem}\n\n'
      files.append(
        mkdocs_files.File.generated(
          config, f'api/{package}.md', content=content
        )
      )
  return files


def on_page_markdown(markdown: str, page, **_) -> str:
  """Replaces links to files outside docs/, which have no page, by their text.

  Raises:
    PluginError: if such a file does not exist.
  """
  for _, target in _LINK.findall(markdown):
    if not (_ROOT / 'docs' / target).exists():
      raise exceptions.PluginError(
        f'{page.file.src_uri} links to {target}, which does not exist; fix the '
        'link.'
      )
  return _LINK.sub(r'\1', markdown)
