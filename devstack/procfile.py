"""The one list of the desk's processes: the Procfile. The units in deploy/ repeat it; a test compares."""

import shlex
from pathlib import Path


def read(path: Path) -> dict[str, list[str]]:
    """name -> the command's words, in the file's order. No shell runs them, so there is nothing to expand."""
    commands: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, colon, command = line.partition(":")
        if colon and not line.lstrip().startswith("#"):
            commands[name.strip()] = shlex.split(command)
    return commands
