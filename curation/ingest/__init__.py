"""From a source's own format to Readings in the store; one file per format."""
