"""Invented leads and the people who work on them: for the demo, the measured million and tests."""
