"""The number by which people speak of a lead: M-67890-7K3QX2A. Pure but for the key.

Source letter, the phone's last five digits, and seven characters of a keyed hash over phone, pair and time: made
without a look-up. 35 bits beside the five digits: a million phones do not meet; where two posts of one phone ever do,
the unique constraint says so and capture takes another moment.
"""

import hashlib

from followups.uid import ALPHABET


def make(*, letter: str, phone: str, pair: tuple[str, str], nanoseconds: int, key: bytes) -> str:
    """A uid for the lead of `phone` (E.164) from `pair` (source, sub-source), captured at `nanoseconds`.

    `key` is at most 64 bytes. The same arguments give the same uid.
    """
    words = "\x1f".join([phone, *pair, str(nanoseconds)]).encode()
    bits = int.from_bytes(hashlib.blake2b(words, key=key, digest_size=5).digest()) >> 5
    hashed = "".join(ALPHABET[bits >> shift & 31] for shift in range(30, -1, -5))
    digits = phone.lstrip("+").rjust(5, "0")[-5:]
    return f"{letter}-{digits}-{hashed}"
