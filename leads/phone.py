"""Telephone numbers: however they are typed, one customer has one spelling. Pure."""

import unicodedata
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

REGION = "IN"
LONGEST = 40
INDIA, INDIAN_DIGITS = 91, 10


class Phone(NamedTuple):
    """A number in E.164 (+919876543210), or the problem with what was typed, in words for who typed it."""

    e164: str = ""
    problem: str = ""


def normalise(typed: str) -> Phone:
    """How `typed` is stored and compared; a number without a country is Indian.

    Never raises, and settles in one pass: a normalised number stays as it is.
    """
    plain = unicodedata.normalize("NFKC", typed).strip()
    if not plain:
        return Phone(problem="Type the customer’s phone number.")
    # What was typed is kept as well, and NFKC may have made it shorter.
    if max(len(plain), len(typed.strip())) > LONGEST:
        return Phone(problem="This is too long for a phone number.")
    try:
        number = phonenumbers.parse(plain, REGION)
    except NumberParseException:
        return Phone(problem="This is not a phone number: type ten digits, or + and the country code.")
    if number.extension:
        return Phone(problem="Type the number without an extension.")
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    # The library also lets India's service numbers pass, of 8 to 13 digits; a customer's has ten.
    if not possible or (number.country_code == INDIA and len(str(number.national_number)) != INDIAN_DIGITS):
        return Phone(problem="This cannot be a phone number: it has too few or too many digits.")
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # Abroad a pass may drop a trunk zero and leave another one: read the shorter number until nothing goes.
    return Phone(e164) if number.country_code == INDIA or e164 == plain else normalise(e164)


@lru_cache(maxsize=10_000)
def pretty(e164: str) -> str:
    """For people: +91 98765 43210. Remembered, for a list of fifty asks for the same ones again and again."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(e164, None), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return e164


def masked(e164: str) -> str:
    """The last two digits, for those who need not dial: ••••• •••10."""
    return f"••••• •••{e164[-2:]}"


def masked_name(name: str) -> str:
    """R••••• K.: enough for a colleague to recognise the customer, no more."""
    first, *rest = name.split() or ["?"]
    initial = f" {rest[-1][0]}." if rest else ""
    return f"{first[0]}•••••{initial}"
