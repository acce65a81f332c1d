"""Let a model answer that speaks OpenAI's Responses or Chat Completions API, wherever its server is."""
