"""What makes a lead more urgent, and that capture may add a repeat's points without looking."""

from hypothesis import given
from hypothesis import strategies as st

from followups.catalogue import Category
from followups.priority import CATEGORY_POINTS, REPEAT_POINTS, priority

categories = st.sampled_from(["", *Category])


def test_every_category_has_its_points() -> None:
    assert set(CATEGORY_POINTS) == {"", *Category}
    assert CATEGORY_POINTS["Hot"] > CATEGORY_POINTS["Warm"] > CATEGORY_POINTS["Cold"]


@given(categories, st.integers(1, 1000), st.booleans())
def test_each_repeat_adds_the_same(category: str, enquiries: int, promised: bool) -> None:
    now = priority(category=category, enquiries=enquiries, promised=promised)
    again = priority(category=category, enquiries=enquiries + 1, promised=promised)
    assert again == now + REPEAT_POINTS


@given(categories, categories, st.integers(1, 1000))
def test_a_repeat_outweighs_any_category_and_a_promise_helps(one: str, other: str, enquiries: int) -> None:
    again = priority(category=one, enquiries=enquiries + 1, promised=False)
    assert again > priority(category=other, enquiries=enquiries, promised=False)
    promised = priority(category=one, enquiries=enquiries, promised=True)
    assert promised > priority(category=one, enquiries=enquiries, promised=False)
