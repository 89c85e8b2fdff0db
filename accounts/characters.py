"""What cannot be typed has no place in a name or a remark, whoever sends it."""

import unicodedata

from django.core.exceptions import ValidationError

DIRECTION_MARKS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def refuse_control_characters(text: str) -> None:
    """Raises ValidationError for what cannot be typed and would garble a list or a mail. Line breaks are fine."""
    for character in text:
        kind = unicodedata.category(character)
        if character in DIRECTION_MARKS or kind == "Cs" or (kind == "Cc" and character not in "\r\n\t"):
            raise ValidationError("This has a character in it that cannot be shown: type it again.")
