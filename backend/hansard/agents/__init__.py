"""Hold who answers: the protocol of agents, the events they speak, and the agents that come along."""
