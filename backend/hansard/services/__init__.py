"""Hold the use cases: what the application does with the store and the agents."""
