"""INFIDA as a protocol: nodes that see messages alone."""
