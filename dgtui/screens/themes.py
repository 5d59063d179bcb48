"""The looks of the program: dark, light, and the terminal's own colours (`ansi-dark`, `ansi-light` of Textual)."""

from textual.theme import Theme

WIDE_COLUMNS = 100
"""From how many columns on a terminal is wide."""
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

STYLE = """
#header { background: $panel; height: 1; }
#tabs { background: $panel; height: 1; }
Toast { padding: 0 1; margin-top: 0; }
.-narrow Toast { width: 76; max-width: 100%; }
Dialog Button {
    min-width: 10; height: 1; border: none !important; margin-right: 2; tint: transparent; background-tint: transparent;
    background: $foreground 12% !important; color: $text; text-style: none;
    &.-primary, &.-error { text-style: bold; }
    &.-primary { color: $text-primary; }
    &.-error { color: $text-error; }
    &:hover { background: $foreground 22% !important; border: none !important; }
    &:disabled { color: $text-muted; text-style: dim; text-opacity: 1; }
    &:ansi { background: $ansi-background !important; color: $ansi-foreground; }
    &:focus { background: $block-cursor-background !important; color: $block-cursor-foreground; text-style: bold; }
    &.-error:focus { background: $error !important; }
    &:nocolor:focus, &:ansi:focus { text-style: bold underline; }
}
"""
"""What has to outdo Textual's own style: there buttons stand on three rows, and the focus reverses only their text."""
