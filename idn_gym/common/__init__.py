"""What knows nothing of networks: text for people, checks of parameters and arrays, files, figures, start-up."""
