"""Languages: told by script, by letters, by function words; few rows put together."""

from __future__ import annotations

import pytest

from alknet_firewall.evaluate.languages import (
    FEWEST_ROWS,
    NO_LANGUAGE,
    OTHER_LATIN,
    language_of_text,
    languages_grouped,
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("What is the capital of France?", "en"),
        ("Wie wird das Wetter morgen in Zürich?", "de"),
        ("Où est la bibliothèque, s'il vous plaît ? Je ne sais pas.", "fr"),
        ("¿Cuál es el precio de la entrada para los niños?", "es"),
        ("Quais são os horários de abertura do museu e como chego lá?", "pt"),
        ("Qual è il prezzo del biglietto e come si arriva alla stazione?", "it"),
        ("Hoe laat gaat de trein naar Utrecht en wat kost het?", "nl"),
        ("Bu belge için bir özet yaz ve bana gönder.", "tr"),
        ("今天天气怎么样？我们一起去公园吧。", "zh"),
        ("明日の会議は何時からですか。", "ja"),
        ("내일 회의는 몇 시에 시작하나요?", "ko"),
        ("Привет! Когда начинается встреча?", "ru"),
        ("Коли починається зустріч і де її проведуть?", "uk"),
        ("مرحبا، كيف حالك اليوم؟", "ar"),
        ("سلام، چطور می‌توانم کمک بگیرم؟", "fa"),
        ("नमस्ते, आप कैसे हैं?", "hi"),
        ("สวัสดีครับ วันนี้อากาศดีมาก", "th"),
        ("שלום, מה שלומך?", "he"),
        ("Γειά σου Κόσμε! Τι κάνεις;", "el"),
    ],
)
def test_a_sentence_tells_its_language(text: str, code: str) -> None:
    assert language_of_text(text) == code


@pytest.mark.parametrize("text", ["", "12:30 – 14:00", "d41d8cd98f00b204e9800998ecf8427e", "git commit --amend", "🙂"])
def test_what_has_no_words_is_of_no_language(text: str) -> None:
    assert language_of_text(text) == ""


def test_mixed_text_is_of_the_language_that_it_holds_most_of() -> None:
    assert language_of_text("Please translate this for me, and keep the tone of the letter: 你好") == "en"
    assert language_of_text('{"title": "今天天气怎么样？我们一起去公园吧。", "id": 7}') == "zh"
    assert language_of_text("他们说 la la land 的电影很好看。") == "zh"


def test_one_word_in_a_long_text_is_a_name() -> None:
    assert language_of_text("git checkout die " + "src lib bin opt etc var tmp usr dev run mnt srv " * 2) == ""


def test_accents_without_a_known_word_are_some_other_language() -> None:
    assert language_of_text("Þjóðvegurinn liggur meðfram ströndinni") == OTHER_LATIN


def test_small_languages_in_latin_script_stand_together() -> None:
    codes = ["fr"] * FEWEST_ROWS + ["nl", "hr", OTHER_LATIN, "en", "ko", "ru", ""]
    assert languages_grouped(codes)[FEWEST_ROWS:] == [OTHER_LATIN] * 3 + ["en", "ko", "ru", NO_LANGUAGE]
    assert set(languages_grouped(codes)[:FEWEST_ROWS]) == {"fr"}
