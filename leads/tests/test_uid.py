"""A uid is short, can be told on the telephone, and belongs to one lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups.uid import ALPHABET, SHAPE, search_key
from leads.models import LeadMaster
from leads.uid import make

KEY = b"a key of the tests"
PAIR = ("META", "Meta Know")
AT = 1_795_200_000_000_000_000
phones = st.from_regex(r"\+[1-9][0-9]{5,14}", fullmatch=True)
letters = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
moments = st.integers(0, 2**63)
pairs = st.tuples(st.text(max_size=40), st.text(max_size=60))


@given(letters, phones, pairs, moments, st.binary(min_size=1, max_size=64))
def test_the_shape_is_right_for_any_phone_and_pair_and_the_same_call_gives_the_same_uid(
    letter: str, phone: str, pair: tuple[str, str], nanoseconds: int, key: bytes
) -> None:
    uid = make(letter=letter, phone=phone, pair=pair, nanoseconds=nanoseconds, key=key)
    assert SHAPE.fullmatch(uid)
    assert uid.startswith(f"{letter}-{phone[-5:]}-")
    assert len(uid) <= 20 == LeadMaster._meta.get_field("uid").max_length
    assert uid == make(letter=letter, phone=phone, pair=pair, nanoseconds=nanoseconds, key=key)


def test_a_million_phones_do_not_meet() -> None:
    # Two seconds and more: the promise is about a million, and fewer would not show that 35 bits are enough.
    # All in the same nanosecond, so that nothing but the phone tells them apart.
    uids = {
        make(letter="M", phone=f"+91{number}", pair=PAIR, nanoseconds=AT, key=KEY)
        for number in range(9_000_000_000, 9_001_000_000)
    }
    assert len(uids) == 1_000_000


@given(phones, moments)
def test_phone_pair_moment_and_key_all_count(phone: str, nanoseconds: int) -> None:
    same = make(letter="M", phone=phone, pair=PAIR, nanoseconds=nanoseconds, key=KEY)
    others = {
        make(letter="M", phone=phone, pair=PAIR, nanoseconds=nanoseconds + 1, key=KEY),
        make(letter="M", phone=phone, pair=("META", "Meta"), nanoseconds=nanoseconds, key=KEY),
        make(letter="M", phone=phone, pair=PAIR, nanoseconds=nanoseconds, key=b"another"),
        make(letter="M", phone=f"{phone[:2]}{phone[1:]}"[:16], pair=PAIR, nanoseconds=nanoseconds, key=KEY),
    }
    assert same not in others


@given(letters, phones, moments)
def test_a_uid_is_found_as_it_is_spoken_and_misread(letter: str, phone: str, nanoseconds: int) -> None:
    uid = make(letter=letter, phone=phone, pair=PAIR, nanoseconds=nanoseconds, key=KEY)
    head, *rest = uid.split("-")
    misread = "-".join([head, *(part.translate(str.maketrans("10", "lO")) for part in rest)])
    for typed in (uid, uid.lower(), f"  {uid}\n", misread, misread.replace("l", "i").lower()):
        assert search_key(typed) == uid


@given(st.text(max_size=40))
def test_searching_for_anything_never_fails(typed: str) -> None:
    key = search_key(typed)
    assert key is None or SHAPE.fullmatch(key)


@pytest.mark.parametrize(
    "typed", ["", "M", "9876543210", "M-67890", "M-67890-7K3QX2", "MM-67890-7K3QX2A", "M-67890-7K3QX2U"]
)
def test_what_does_not_look_like_a_uid_is_none(typed: str) -> None:
    assert search_key(typed) is None


def test_no_letter_of_the_alphabet_is_misread() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    assert not set("ILOU") & set(ALPHABET)
