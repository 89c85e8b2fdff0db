"""Indexes with the names that operations look for. Django stops at 30 characters for Oracle's sake; PostgreSQL at 63."""

from django.db import models


class NamedIndex(models.Index):
    max_name_length = 63
