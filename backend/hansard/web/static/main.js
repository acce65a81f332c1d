// Put the page together.
