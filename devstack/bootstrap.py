"""The scripts' first step, in whatever Python there is, without any package: make .venv, hand over to it."""

import signal

# Ctrl-C in the first moments ends this quietly, without a traceback of the imports below.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from devstack import console, tether, virtualenv  # noqa: E402


def main() -> int:
    console.harden_streams()
    command, *arguments = sys.argv[1:]
    if command != "server":
        console.speak_on_stderr()
    if command != "manage":
        # script/manage starts nothing that could be left behind.
        tether.split()
    try:
        python = virtualenv.ensure(ROOT)
    except console.Refusal as refusal:
        console.refuse(refusal)
        return 1
    if command != "manage":
        # A signal that comes while the next Python starts waits until it has its handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, tether.STOPPING)
    # -P: wherever it is called from, another checkout included, it is this one's devstack that runs.
    handed_over = [str(python), "-P", "-m", "devstack", command, *arguments]
    return os.execve(python, handed_over, virtualenv.variables(ROOT))


if __name__ == "__main__":
    sys.exit(main())
