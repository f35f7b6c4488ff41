"""Policies learnt from episodes that others played."""
