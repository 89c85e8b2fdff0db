"""Indexes under the names that operations look for: Django stops at Oracle's 30 characters, PostgreSQL at 63."""

from django.db import models


class NamedIndex(models.Index):
    max_name_length = 63
