"""Keep the verbatim record of every conversation that people have with an AI."""
