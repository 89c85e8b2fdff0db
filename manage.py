#!/usr/bin/env python
"""Django's command line, for the desk's commands: migrate, seed_demo, load_leads and the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    # A migration or a load of a million leads may run longer than any request may.
    os.environ.setdefault("STATEMENT_TIMEOUT", "0")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
