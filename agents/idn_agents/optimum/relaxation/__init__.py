"""The relaxed optimum: cuts, inequalities of nodes, the solver, and the tree that branches for the proof."""
