"""Entry of ``python -m examples.gazex``."""

import sys

from examples.gazex.cli import main

if __name__ == "__main__":
    sys.exit(main())
