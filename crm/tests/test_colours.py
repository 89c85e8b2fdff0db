"""The colours of the style sheet, in light and in dark: each pair that stands on one another can be told apart."""

import re

import pytest
from django.conf import settings

SHEET = settings.BASE_DIR / "static" / "desk" / "desk.css"
TEXT, CONTROL = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11, level AA

GROUNDS = ["paper", "surface"]
# What is written on what, and what bounds a control or carries a meaning by its shape.
WRITTEN = [
    *[(ink, ground) for ink in ["ink", "quiet", "accent", "accent-strong", "bad", "warn"] for ground in GROUNDS],
    *[("ink", ground) for ground in ["accent-soft", "bad-soft", "warn-soft"]],
    *[("quiet", ground) for ground in ["accent-soft", "bad-soft", "warn-soft"]],
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-soft"),
    ("accent", "accent-soft"),
    ("accent", "warn-soft"),
    ("bad", "bad-soft"),
    ("warn", "warn-soft"),
    ("surface", "bad"),
]
DRAWN = [
    *[(edge, ground) for edge in ["edge", "accent", "bad", "warn"] for ground in GROUNDS],
    ("bad", "bad-soft"),
    ("warn", "warn-soft"),
    ("accent", "accent-soft"),
]


def colours(scheme: str) -> dict[str, str]:
    """The values of a scheme; dark says only what it changes."""
    light, dark = re.findall(r":root \{(.*?)\}", SHEET.read_text(), re.DOTALL)[:2]
    told = light if scheme == "light" else light + dark
    return {name: value.lower() for name, value in re.findall(r"--([\w-]+): (#[0-9a-fA-F]{6});", told)}


def brightness(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([brightness(one), brightness(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(WRITTEN, TEXT), (DRAWN, CONTROL)], ids=["text", "edges"])
def test_every_pair_can_be_told_apart(scheme: str, pairs: list[tuple[str, str]], least: float) -> None:
    known = colours(scheme)
    weak = {pair: round(found, 2) for pair in pairs if (found := contrast(known[pair[0]], known[pair[1]])) < least}
    assert weak == {}


def test_every_colour_is_looked_at() -> None:
    looked_at = {name for pair in [*WRITTEN, *DRAWN] for name in pair}
    # A line parts what is told apart by its place as well.
    assert set(colours("light")) - looked_at == {"line"}
    assert set(colours("dark")) == set(colours("light"))
