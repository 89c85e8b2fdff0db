"""Which lead most needs a call: one number, computed here alone. Pure."""

CATEGORY_POINTS = {"Hot": 30, "Warm": 20, "Cold": 5, "": 10}
# A customer who asks again is worth more than any category.
REPEAT_POINTS = 40
PROMISE_POINTS = 25


def priority(*, category: str, enquiries: int, promised: bool) -> int:
    """Higher is sooner. `enquiries` counts the first one; `promised` means that a call back was agreed.

    It grows by REPEAT_POINTS with each repeat, so that capture can add them without reading the lead.
    """
    return CATEGORY_POINTS[category] + PROMISE_POINTS * promised + REPEAT_POINTS * (enquiries - 1)
