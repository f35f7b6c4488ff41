"""Networks from graph files: reading them, and the rules that make nodes and links of them."""
