"""What supervisors had done to the database, and how live tests went: kept, so that a closed page loses nothing."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Optimization(models.Model):
    """One request to put the database in order. A worker carries it out step by step, and says here how far it is.

    `steps` are dictionaries in the order in which they are done (performance.optimize_plan.Step).
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    UNFINISHED = (State.WAITING, State.RUNNING)
    # Beat looks every two seconds and a worker says so as often; some may be lost to a busy machine.
    PATIENCE = timedelta(seconds=15)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
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

    @property
    def is_finished(self) -> bool:
        return self.state not in self.UNFINISHED

    @property
    def steps_over(self) -> int:
        """Steps that nobody will come back to, well done or not."""
        return sum(step["state"] not in ("waiting", "running") for step in self.steps)

    @property
    def is_silent(self) -> bool:
        """Whether a worker should have been heard of by now."""
        return not self.is_finished and timezone.now() - (self.seen_at or self.created_at) > self.PATIENCE

    def as_json(self) -> dict[str, Any]:
        """How far it is. Nobody is named."""
        times = ("created_at", "started_at", "seen_at", "ended_at")
        moments = {name: value and value.isoformat() for name in times for value in [getattr(self, name)]}
        return {"job": str(self.pk), "state": self.state, "message": self.message, "steps": self.steps, **moments}


class LiveTest(models.Model):
    """A run of one of the live tests, and what it found (performance.live_tests)."""

    name = models.CharField(max_length=20)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)
    rounds = models.SmallIntegerField()
    result = models.JSONField()

    class Meta:
        db_table = "performance_live_test"
        indexes = [
            # Reads: the last runs of each live test, newest first.
            models.Index(fields=["name", "-at"], name="idx_live_test_name_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.at:%d %b %Y, %H:%M}"


class SpeedReport(models.Model):
    """A colleague says that the desk is slow. `own` are their last requests, `desk` is the whole desk, both as the
    figures stood at that moment (performance.speed_reports). Kept for good: there are few, and how often colleagues
    found the desk slow over the years is worth knowing. Of customers it holds nothing but what somebody types against
    the advice.
    """

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)
    words = models.CharField(max_length=500, blank=True)
    verdict = models.CharField(max_length=300)
    own = models.JSONField(default=list)
    desk = models.JSONField(default=list)

    class Meta:
        db_table = "performance_speed_report"

    def __str__(self) -> str:
        return f"{self.by}, {self.at:%d %b %Y, %H:%M}"
