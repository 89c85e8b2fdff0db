"""How a lead's uid is read, M-67890-7K3QX2A, whoever types it. Pure; `leads.uid` makes them."""

import re

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: none that is misread on the telephone
SHAPE = re.compile(rf"[A-Z]-\d{{5}}-[{ALPHABET}]{{7}}", re.ASCII)
BEGUN = re.compile(r"[A-Z]-\d[^ ]*", re.ASCII)
MISREAD = str.maketrans("ILO", "110")


def search_key(typed: str) -> str | None:
    """`typed` as a uid, misread letters put right; None when it does not look like one."""
    head, *rest = typed.strip().upper().split("-")
    cleaned = "-".join([head, *(part.translate(MISREAD) for part in rest)])
    return cleaned if SHAPE.fullmatch(cleaned) else None


def is_begun(typed: str) -> bool:
    """Whether this looks like a part of a uid from its beginning: a letter, a hyphen and a digit, as no name does."""
    return bool(BEGUN.fullmatch(typed.strip().upper()))
