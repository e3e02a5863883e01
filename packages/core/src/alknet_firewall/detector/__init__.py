"""The small language model that reads a text: weights, tokenizer, and the backends that run its first blocks."""
