"""``python -m curation`` is ``gazecurate``."""

from curation.cli import main

if __name__ == "__main__":
    main()
