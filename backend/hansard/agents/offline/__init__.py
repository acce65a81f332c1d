"""Answer without any model: the assistant that manages the user's tasks by plain sentences."""

from hansard.agents.offline.assistant import MODEL, OfflineAssistant

__all__ = ["MODEL", "OfflineAssistant"]
