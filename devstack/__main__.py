"""The scripts' second step, in the environment's own Python: `python -m devstack server | test | manage`."""

import sys

from devstack import console, manage, server, suite

COMMANDS = {"server": server.main, "test": suite.main, "manage": manage.main}


def main() -> int:
    console.harden_streams()
    command, *arguments = sys.argv[1:]
    if command != "server":
        console.speak_on_stderr()
    return COMMANDS[command](arguments)


if __name__ == "__main__":
    sys.exit(main())
