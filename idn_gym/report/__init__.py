"""What people look at: tables, plots, pictures, progress."""
