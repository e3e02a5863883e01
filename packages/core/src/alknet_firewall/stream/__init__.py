"""Text while it is still arriving: screened as it grows, held back until it is clear, and over the turns of a conversation."""
