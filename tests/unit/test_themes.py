"""The colours of the program's own themes."""

import pytest
from textual.color import Color
from textual.theme import Theme

from dgtui.screens.themes import THEMES

_READABLE = 4.5
"""The contrast that WCAG asks for."""


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_row_under_the_cursor_can_be_read(theme: Theme) -> None:
    colours = {**theme.to_color_system().generate(), **theme.variables}
    background = Color.parse(colours["block-cursor-background"])
    text = colours["block-cursor-foreground"]
    foreground = background.get_contrast_text() if text.startswith("auto") else Color.parse(text)
    assert _contrast(background, background.blend(foreground, 1)) > _READABLE


def _contrast(one: Color, other: Color) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
