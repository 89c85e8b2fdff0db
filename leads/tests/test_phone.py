"""However a number is typed, one customer has one spelling; and nobody sees more of it than they need."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leads.models import PHONE, LeadMaster
from leads.phone import LONGEST, masked, masked_name, normalise, pretty

FULL_WIDTH = str.maketrans("0123456789+-() ", "０１２３４５６７８９＋－（）\u3000")
indian_mobiles = st.from_regex(r"[6-9][0-9]{9}", fullmatch=True)
prefixes = st.sampled_from(["", "0", "91", "+91", "0091", "+91 ", "91-", "0 ", "(0)", "(+91) ", "+91 (0)", "tel:+91"])
separators = st.lists(
    st.sampled_from(["", " ", "-", "  ", " - ", ".", "/", "\u00a0", "\u2011"]), min_size=9, max_size=9
)


def spelt(digits: str, prefix: str, between: list[str]) -> str:
    """`digits` with something between them, as people type."""
    return prefix + digits[0] + "".join(gap + digit for gap, digit in zip(between, digits[1:], strict=True))


@given(indian_mobiles, prefixes, separators, st.booleans())
def test_an_indian_number_is_the_same_in_any_spelling(
    digits: str, prefix: str, between: list[str], full_width: bool
) -> None:
    typed = spelt(digits, prefix, between)[:LONGEST]
    if re.sub(r"\D", "", typed)[-10:] != digits:
        return  # too many separators to be a phone number
    assert normalise(typed.translate(FULL_WIDTH) if full_width else typed) == (f"+91{digits}", "")


@given(indian_mobiles, st.sampled_from(["({}) {}", "{}({})", "{} / {}"]))
def test_brackets_do_not_matter(digits: str, shape: str) -> None:
    assert normalise(shape.format(digits[:5], digits[5:])).e164 == f"+91{digits}"


@given(st.text(max_size=60) | st.text("0123456789+-() ext.#,;", max_size=60))
def test_anything_can_be_typed_without_an_error_and_settles_in_one_pass(typed: str) -> None:
    phone = normalise(typed)
    assert bool(phone.e164) != bool(phone.problem)
    if phone.e164:
        assert re.fullmatch(PHONE, phone.e164)
        assert normalise(phone.e164) == phone
        assert normalise(pretty(phone.e164)) == phone


@example("+310000000")
@given(st.from_regex(r"\+[1-9][0-9]{5,14}", fullmatch=True))
def test_a_number_of_any_country_settles_in_one_pass(typed: str) -> None:
    phone = normalise(typed)
    if phone.e164:
        assert normalise(phone.e164) == phone
        assert len(phone.e164) <= (LeadMaster._meta.get_field("customer_mobile_number").max_length or 0)


@pytest.mark.parametrize(
    ("typed", "e164"),
    [
        ("9876543210", "+919876543210"),
        ("919876543210", "+919876543210"),
        ("09876543210", "+919876543210"),
        ("00919876543210", "+919876543210"),
        ("+91-98765-43210", "+919876543210"),
        ("९८७६५४३२१०", "+919876543210"),
        ("9198765432", "+919198765432"),
        ("040 2345 6789", "+914023456789"),
        ("+971 50 123 4567", "+971501234567"),
        ("+1 (650) 253-0000", "+16502530000"),
    ],
)
def test_numbers_as_customers_give_them(typed: str, e164: str) -> None:
    assert normalise(typed).e164 == e164


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type the customer’s phone number."),
        (" \t\u3000", "Type the customer’s phone number."),
        ("unknown", "not a phone number"),
        ("12", "too few or too many digits"),
        ("98765432101", "too few or too many digits"),
        ("987654321", "too few or too many digits"),
        ("23456789", "too few or too many digits"),
        ("1800 123 45678", "too few or too many digits"),
        ("+91 98765", "too few or too many digits"),
        ("9876543210 x12", "without an extension"),
        ("9" * 41, "too long"),
        ("9876543210\x00", None),
        ("\ud800", "not a phone number"),
    ],
)
def test_what_is_no_number_is_refused_in_words(typed: str, words: str | None) -> None:
    phone = normalise(typed)
    assert words is None or words in phone.problem


def test_people_read_a_number_in_groups() -> None:
    assert pretty("+919876543210") == "+91 98765 43210"
    assert pretty("nonsense") == "nonsense"


@given(st.from_regex(r"\+[1-9][0-9]{5,14}", fullmatch=True))
def test_a_masked_number_shows_its_last_two_digits_and_nothing_else(e164: str) -> None:
    assert re.findall(r"\d", masked(e164)) == list(e164[-2:])
    assert len(masked(e164)) == len(masked("+919876543210"))


@given(st.text(max_size=100))
def test_a_masked_name_shows_initials_at_most(name: str) -> None:
    shown = masked_name(name).replace("•", "")
    initials = [word[0] for word in name.split()]
    assert shown in {"?", *initials, *(f"{first} {last}." for first in initials for last in initials)}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Ramesh Kumar", "R••••• K."), ("Ramesh", "R•••••"), ("A B C", "A••••• C."), ("", "?•••••")],
)
def test_a_colleague_recognises_a_masked_name(name: str, shown: str) -> None:
    assert masked_name(name) == shown
