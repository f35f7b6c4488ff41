"""From a fractional state to what nodes hold: each by itself, in turn, or guarded; forecasts and experts."""
