"""What runs a system: the files of its streams, its records, table and picture."""
