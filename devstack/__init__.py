"""The development stack: an embedded PostgreSQL, Valkey and mail sink for a machine that has none, and the
launcher that runs them and the desk's processes. For development and tests; the desk imports none of it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
