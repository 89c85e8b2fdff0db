"""What supervisors had done to the database, and how live tests went: kept, so that a closed page loses nothing."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Optimization(models.Model):
    """One request to put the database in order. A worker carries it out step by step, and says here how far it is.

    `steps` are dictionaries in the order in which they are done (performance.optimizing.Step).
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    UNFINISHED = (State.WAITING, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    cause = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    steps = models.JSONField(default=list)
    message = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "performance_optimization"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "done", "failed"]), name="performance_optimization_state"
            ),
            # Literals, as the index has them: one at a time, whoever asks.
            models.UniqueConstraint(
                models.Value(1),
                condition=Q(state__in=["waiting", "running"]),
                name="performance_optimization_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "failed"], ended_at__isnull=False)
                | Q(state__in=["waiting", "running"], ended_at__isnull=True),
                name="performance_optimization_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}, {self.created_at:%d %b %Y, %H:%M}"


class LiveTest(models.Model):
    """A run of one of the live tests, and what it found (performance.live_tests)."""

    name = models.CharField(max_length=20)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    rounds = models.PositiveSmallIntegerField()
    result = models.JSONField()

    class Meta:
        db_table = "performance_live_test"
        indexes = [
            # The history under each test, newest first.
            models.Index(fields=["name", "-at"], name="idx_live_test_name_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.at:%d %b %Y, %H:%M}"
