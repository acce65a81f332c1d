"""Keep conversations: what is promised (`contract`) and the one implementation (`sql`)."""
