"""The browser for the browser tests: Debian's chromium, installed here where that is possible."""

import os
import shutil
import subprocess
from pathlib import Path

from devstack.console import Refusal, say, step
from devstack.service import Program, Requests, Starter

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure(starter: Starter, requests: Requests, log: Path) -> str:
    """The browser's path, or nothing; the suite says which tests that costs."""
    found = find()
    if found or not _can_install():
        return found
    with step("Installing chromium"):
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", *arguments]
            apt = starter.start(Program("apt-get", command, log))
            if not apt.finishes(requests, 900):
                say("\nchromium could not be installed; the end of apt-get's words:\n" + apt.last_words(3))
                return ""
    return find()


def find() -> str:
    if chosen := os.environ.get("CHROMIUM"):
        if not os.access(chosen, os.X_OK):
            raise Refusal(f"CHROMIUM={chosen} cannot be run: correct it, or leave it unset.")
        return chosen
    return next((path for name in NAMES if (path := shutil.which(name)) and _runs(path)), "")


def _runs(path: str) -> bool:
    """Some distributions have a chromium that only says how to install another one."""
    return subprocess.run([path, "--version"], capture_output=True).returncode == 0


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None
