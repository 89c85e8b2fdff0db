"""What colleagues have reported of the desk's speed, for supervisors to look up later."""

from django.contrib import admin
from django.db.models import Q

from accounts.supervision import ReadOnlyAdmin
from performance.models import SpeedReport


@admin.register(SpeedReport)
class SpeedReportAdmin(ReadOnlyAdmin[SpeedReport]):
    list_display = ("at", "by", "words", "verdict")
    list_select_related = ("by",)
    ordering = ("-id",)
    search_fields = ("by__username",)
    search_help_text = "The colleague’s username"

    def found(self, term: str) -> Q:
        return Q(by__username=term)
