"""Let a model answer that speaks OpenAI's Responses or Chat Completions API, wherever its server is."""

from hansard.agents.upstream import via
from hansard.agents.upstream.agent import UpstreamAgent
from hansard.agents.upstream.endpoint import Limits, Upstream

__all__ = ["Limits", "Upstream", "UpstreamAgent", "via"]
