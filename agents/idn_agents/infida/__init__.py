"""infida."""
