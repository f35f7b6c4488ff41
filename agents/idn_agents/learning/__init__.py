"""What learners are made of: features, policies, the distribution of their actions, checkpoints."""
