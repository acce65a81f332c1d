"""Hold what knows nothing of conversations: ids, clock, cursors."""
