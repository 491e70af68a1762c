"""Images on this machine, and the long operations that make new ones."""
