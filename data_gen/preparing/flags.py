"""The parser of the preparing commands' flags."""

import argparse


class Parser(argparse.ArgumentParser):
    """Argument parser that takes no abbreviations and complains in one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str):
        """Print one line and exit with 2."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")
