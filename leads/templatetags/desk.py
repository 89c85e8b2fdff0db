"""How pages write numbers and times. Times are the dealer's; a list says how late, or how far off."""

from django import template

from followups.spans import age, due
from followups.wording import moment_in_words, status_in_words
from leads import phone

register = template.Library()
register.filter("phone", phone.pretty)
register.filter("moment", moment_in_words)
register.filter("status", status_in_words)
register.filter("due", due)
register.filter("age", age)


@register.filter
def told_in(milliseconds: float) -> str:
    """A duration on the server: "4 ms"."""
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else "under 1 ms"
