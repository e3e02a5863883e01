"""What people ask every day, with addresses, strict forms and words that attacks use, passes the bundled codebook."""

import pytest

from alknet_firewall import Firewall

EVERYDAY = (
    "Please give me a summary of https://hotel.example/rooms.",
    "Sum up https://hotel.example for me.",
    "Summarize this page: https://en.wikipedia.org/wiki/Alps",
    "Open http://localhost:8000/page and tell me what it says.",
    "What does https://docs.python.org/3/library/os.html say about fork?",
    "Check my site https://shop.example.com for typos",
    "Write a friendly mail to office@example.com that I will be late.",
    "Translate 'Good morning' to French.",
    "Was ist die Hauptstadt von Peru?",
    "Réponds en JSON uniquement, s'il te plaît.",
    "Forget it, give me a table instead.",
    "Ignore the typo in my last message.",
    "I forgot my password, how do I reset it?",
    "Please forward this to Anna.",
    "Write a Python function that reverses a list.",
    "Tell me a joke about cats",
    "Write a short poem about autumn.",
    "Can you read https://example.com/report.pdf and tell me the main points?",
)


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_prompts_pass(firewall: Firewall, text: str) -> None:
    assert not firewall.screen(text).flagged
