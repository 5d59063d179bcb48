"""What the engine advises about a restore, in the words of the dialog: its rows stand for the command's options."""

import re

_OPTIONS = tuple(
    (re.compile(option), words)
    for option, words in (
        (r"a shorter name with --into", "a shorter Name"),
        (r"(?:under another name|(?:in)?to another (?:place|folder)|elsewhere) with --into(?: NAME)?", "{into}"),
        (r"with --into(?: NAME)?", "{into}"),
        (r"with --to\b", "(Into: other datasource)"),
        (r"without --in-place", "without the tick at No swap"),
        (r"or with --in-place:", "or tick No swap:"),
        (r"with --as(?: NAME)?", "(Under)"),
        (r"Leave out --as\b", "Leave Under empty"),
        (r"with --table\b", "(What)"),
        (r"--table ", ""),
        (r"Replace (it|them) with --overwrite", r"Confirm to replace \1"),
        (r"with --overwrite(?: alone)?", "once that is confirmed"),
        (r"need --overwrite", "need a confirmation"),
        (r"Leave --no-safety out", "Save the current state first (Before)"),
        (r"with --no-safety", "without the tick at Before"),
        (r"with --data-only", "(What: data only)"),
        (r"with --schema-only", "(What: schema only)"),
        (r"Leave out --data-only", "Choose another What"),
        (r"leave out --data-only and --schema-only", "choose another What"),
        (r"Leave --merge out", "Do not tick Merge"),
        (r"Leave out --deep", "Do not tick After"),
        (r"without --deep", "without the tick at After"),
        (r"with --from", "(From)"),
        (r"with --safety-to STORAGE", "(Before)"),
        (r"with --without-roles", "(Roles)"),
    )
)


def in_dialog(text: str, new_target: str = "new place") -> str:
    """The text with the dialog's own words; `new_target` is what it calls another place, as `new database`."""
    for option, words in _OPTIONS:
        text = option.sub(words.replace("{into}", f"into a {new_target} (Into)"), text)
    return text
