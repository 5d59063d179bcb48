"""The commands, and how they speak: a live panel on a terminal, plain lines without one, JSON for scripts."""
