"""Where cells run: in this process, or in worker processes."""
