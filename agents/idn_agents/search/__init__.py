"""Local search over integral allocations, and the forecasts it searches on."""
