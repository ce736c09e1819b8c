"""``python -m gazecapture`` is the command ``gazecapture``."""

from gazecapture.cli import main

if __name__ == "__main__":
    main()
