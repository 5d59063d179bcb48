"""Sizes and numbers as people read them."""


def size_text(size: float) -> str:
    """`742 MB`, `3.4 GB`: one decimal below ten."""
    from humanize import naturalsize

    number, _, unit = naturalsize(size, format="%.1f").partition(" ")
    if unit in ("Byte", "Bytes"):
        return f"{int(size)} B"
    return f"{number if float(number) < 10 else round(float(number))} {unit}"


def counted(number: int, things: str) -> str:
    """`48 tables`, `1 table`, `2 copies`, `1 copy`."""
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"{number:,} {one if number == 1 else things}"
