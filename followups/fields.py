"""What people type into forms, field by field: one line of text, several lines, a time. Nothing of the trade here."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.characters import refuse_control_characters

# Hangul fillers: letters by their kind, and invisible.
BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
GRACE = timedelta(minutes=2)
FARTHEST = timedelta(days=366)


class Words(forms.CharField):
    """One line of text: white space folded, control characters refused."""

    def __init__(self, *, missing: str = "", **options: Any) -> None:
        super().__init__(required=bool(missing), error_messages={"required": missing}, **options)

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        refuse_control_characters(text)
        return " ".join(text.split())


class Name(Words):
    """A name that can be seen in a list, and clicked on."""

    def clean(self, value: Any) -> str:
        name = str(super().clean(value))
        if not any(character.isalnum() and character not in BLANK_LETTERS for character in name):
            raise ValidationError("Type a name with letters in it.")
        return name


class Lines(forms.CharField):
    """Text of several lines: control characters refused, line breaks kept."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        refuse_control_characters(text)
        return text.replace("\r\n", "\n")


class MomentField(forms.DateTimeField):
    """A time to come: YYYY-MM-DDTHH:MM in the dealer's time zone, or ISO 8601 with an offset."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    default_error_messages = {"invalid": "Write the date and time as 2026-01-31T17:30."}

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        if moment is None:
            return None
        now = timezone.now()
        if moment < now - GRACE:
            raise ValidationError("This time has passed: choose one to come.")
        if moment > now + FARTHEST:
            raise ValidationError("This is more than a year ahead: choose a nearer time.")
        # PostgreSQL does not read every offset that ISO 8601 allows.
        return moment.astimezone(UTC)


class PastField(forms.DateTimeField):
    """A time that has passed, a year ago at most; written like MomentField's."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    default_error_messages = {"invalid": "Write the date and time as 2026-01-31T17:30."}

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        if moment is None:
            return None
        now = timezone.now()
        if moment > now + GRACE:
            raise ValidationError("This time is still to come: record it when it has happened.")
        if moment < now - FARTHEST:
            raise ValidationError("This is more than a year ago.")
        return moment.astimezone(UTC)
