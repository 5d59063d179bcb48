"""How things are said and drawn in text, the same for the commands and the screens."""
