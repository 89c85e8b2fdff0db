"""A colleague finds the desk slow: what they say is kept with the figures of that moment, for the supervisors."""

from datetime import timedelta

from django import forms
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from performance.models import SpeedReport

MOST_WORDS = 500
# A double click, or a press in anger, makes one report.
PAUSE = timedelta(minutes=1)


class TooSoon(Exception):
    """This person has just reported something else."""


class ReportForm(forms.Form):
    words = forms.CharField(
        label="What were you doing, and what was slow?",
        max_length=MOST_WORDS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"max_length": f"Write at most {MOST_WORDS} characters."},
    )


def report(person: User, words: str, *, verdict: str, own: list[str], desk: list[str]) -> SpeedReport:
    """Keeps it, or returns the one of this minute that says the same. Raises TooSoon for another one."""
    with transaction.atomic():
        # Two presses of one person come one after the other.
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        last = SpeedReport.objects.filter(by=person, at__gt=timezone.now() - PAUSE).order_by("-id").first()
        if last is None:
            return SpeedReport.objects.create(by=person, words=words, verdict=verdict, own=own, desk=desk)
        if words in ("", last.words):
            return last
        raise TooSoon
