"""The looks of the program: dark, light, and the terminal's own colours (`ansi-dark`, `ansi-light` of Textual)."""

from textual.theme import Theme

THEMES = (
    Theme(
        name="dataguardian-dark",
        primary="#5fafd7",
        secondary="#87afaf",
        warning="#ffaf5f",
        error="#ff6b6b",
        success="#7fc97f",
        accent="#5fafd7",
        foreground="#e4e4e4",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        dark=True,
        # White on this blue is too faint to read.
        variables={"block-cursor-foreground": "#121212"},
    ),
    Theme(
        name="dataguardian-light",
        primary="#005f87",
        secondary="#5f8787",
        warning="#af5f00",
        error="#c02020",
        success="#207520",
        accent="#005f87",
        foreground="#1c1c1c",
        background="#fafafa",
        surface="#f0f0f0",
        panel="#e4e4e4",
        dark=False,
    ),
)
