"""What is shipped: packaged scenarios and how they are made, hard instances, the synthetic twin of a trace."""
