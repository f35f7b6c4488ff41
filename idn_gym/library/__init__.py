"""What is shipped: packaged scenarios by name and how they are made, hard instances, the twin of a public trace."""
