"""What people look at: tables, plots and progress.

Everything here takes results that are there already; what computes or keeps them is in `experiment`.
"""
