"""Policies that every node learns for itself, or all nodes together."""
