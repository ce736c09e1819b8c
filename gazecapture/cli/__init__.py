"""The `gazecapture` command: parse and print only."""
