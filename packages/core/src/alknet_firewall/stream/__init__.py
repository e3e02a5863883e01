"""Text while it is still arriving: screened as it grows, held back until it is clear; and turns of conversations."""
