"""Reference agents for idn_gym."""
