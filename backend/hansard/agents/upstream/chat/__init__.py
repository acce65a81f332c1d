"""Speak Chat Completions, for servers that have nothing else, and understand it as the Responses API's events."""

from hansard.agents.upstream.chat.request import Chat

__all__ = ["Chat"]
