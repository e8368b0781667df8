"""A draft of a card from what files say."""
