"""The mathematics in plain NumPy float64, the readable reference: feasible set, serving, gain, network."""
