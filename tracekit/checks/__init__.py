"""One file per family of properties; each check is a function whose docstring is its page."""
