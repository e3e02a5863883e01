"""The language of a text: by its script, and where several languages share a script, by letters and function words.

A rough rule for slices of an evaluation, not for single texts: what it is sure of is the script. Among languages in
Latin script it counts words that hardly any sentence does without (`the`, `und`, `que`); a text that has none, such as
a command, a list of names or a hash, is of no language. Texts that mix languages count as the one they hold most of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

OTHER_LATIN = "other Latin"
"""Languages in Latin script, not English, that have too few rows to stand alone, or are not known here."""
NO_LANGUAGE = "none"
"""Text without words of any language that is known here: commands, names, numbers."""
FEWEST_ROWS = 60
"""Rows that such a language needs to stand alone."""

_READ = 3000  # characters; what follows is seldom in another language
_LATIN = "latin"
_SCRIPTS = {
    _LATIN: r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff", "greek": r"\u0370-\u03ff\u1f00-\u1fff",
    "cyrillic": r"\u0400-\u052f", "armenian": r"\u0530-\u058f", "hebrew": r"\u0590-\u05ff",
    "arabic": r"\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc", "devanagari": r"\u0900-\u097f",
    "bengali": r"\u0980-\u09ff", "gurmukhi": r"\u0a00-\u0a7f", "gujarati": r"\u0a80-\u0aff", "tamil": r"\u0b80-\u0bff",
    "telugu": r"\u0c00-\u0c7f", "kannada": r"\u0c80-\u0cff", "malayalam": r"\u0d00-\u0d7f", "sinhala": r"\u0d80-\u0dff",
    "thai": r"\u0e00-\u0e7f", "lao": r"\u0e80-\u0eff", "burmese": r"\u1000-\u109f", "georgian": r"\u10a0-\u10ff",
    "amharic": r"\u1200-\u137f", "khmer": r"\u1780-\u17ff", "hangul": r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "kana": r"\u3040-\u30ff\u31f0-\u31ff", "han": r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
}  # fmt: skip
_LETTERS = {script: re.compile(f"[{ranges}]") for script, ranges in _SCRIPTS.items()}
_DENSE = {"han": 3, "kana": 2, "hangul": 2}
"""Letters of an alphabet that one sign of these stands for: otherwise a few English words outweigh a sentence."""
_ONE_LANGUAGE = {
    "greek": "el", "hebrew": "he", "devanagari": "hi", "bengali": "bn", "gurmukhi": "pa", "gujarati": "gu",
    "tamil": "ta", "telugu": "te", "kannada": "kn", "malayalam": "ml", "sinhala": "si", "thai": "th", "lao": "lo",
    "burmese": "my", "georgian": "ka", "armenian": "hy", "amharic": "am", "khmer": "km", "hangul": "ko",
}  # fmt: skip
_SHORT = 12
"""Words up to which one that is found decides."""
_ACCENTS = 0.01
"""Share of letters with accents from which on a text is of some language, though of none that is known here."""
_KANA_SHARE = 0.05  # of kana among signs from which on a text is Japanese: Chinese has none
_TOLD_BY = {  # letters that the first language named has and the others of its script have not
    "arabic": (("fa", "\u067e\u0686\u0698\u06af\u06cc\u06a9"), ("ar", "")),
    "cyrillic": (("uk", "іїєґ"), ("bg", "ъ"), ("ru", "")),
}
_WORDS = {
    "en": "the and of to is that it you for are with this be your have not what how from can do will my if please "
          "should which would there about an or by was at all any in on as me who when where why has only does",
    "de": "der die das und ist nicht ich du sie wir ein eine einen für mit auf von zu den dem des wie was im auch "
          "bitte kann wird sind oder es alle mir mich dein deine als um bei nur hat wer wo",
    "fr": "le la les des et est une un je tu vous nous pour que qui dans sur pas avec ce cette du au votre mon vos "
          "sont par ou comment plus quel quelle en de tous moi",
    "es": "el la los las de es un una que en no por para con del al se lo su mi como qué cómo más este esta tu "
          "puedo todas sobre cuál son me",
    "pt": "de do da dos das os na se um uma que em não por para seu meu como mais este esta você ao quais isso são "
          "qual pelo pela também está foi ser eu ele ela muito todas",
    "it": "il lo la gli le di un una che in non per con del della dei delle si mi come più questo questa sono tuo ho "
          "cosa al nel tutte",
    "nl": "de het een en is niet ik je van voor met op dat deze zijn wat hoe kan mijn naar aan te ook maar er wordt "
          "alle bij",
    "tr": "ve bir bu için ne nasıl ile da de mi mı olarak çok daha benim değil var yok bana lütfen gibi kadar olan "
          "ama en",
    "pl": "na nie się jest że jak co dla czy od po mi są ale ten proszę tym",
    "id": "yang dan di ini untuk dengan dari tidak saya apa itu ke pada adalah anda bagaimana atau dalam akan bisa",
    "vi": "và là của tôi bạn không có cho một các những này để với trong được như làm gì thế nào hãy tất cả",
    "sv": "och att det är en ett som på för med inte jag av till den har om kan hur vad alla",
    "da": "og at det er en et som på for med ikke jeg af til den har om kan hvordan hvad alle der",
    "ro": "și să este nu un la pe cu în care mai ce din pentru sunt ca toate cum",
    "cs": "je na se že co jak pro si by ale jsem není tento prosím jsou nebo jako",
    "hu": "az és nem hogy egy is van ez mi meg de ki kell minden mit hogyan nekem",
    "fi": "ja on ei se että en mutta kuin minä sinä mitä miten voi ovat tämä kaikki",
}  # fmt: skip
_NOT_LATIN = {
    *_ONE_LANGUAGE.values(), "zh", "ja", "ar", "fa", "ur", "ps", "yi", "ru", "uk", "bg", "be", "mk", "sr", "kk", "ky",
    "mn", "mr", "ne",
}  # fmt: skip
_LANGUAGES_OF: dict[str, list[str]] = {}
for _code, _listed in _WORDS.items():
    for _word in set(_listed.split()):
        _LANGUAGES_OF.setdefault(_word, []).append(_code)
_WORD = re.compile(r"[^\W\d_]{2,}")
_ACCENTED = re.compile(r"[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")


def language_of_text(text: str) -> str:
    """The language of a text as a code of two letters, as far as it can be told; empty if it is of none."""
    head = text[:_READ]
    signs = {script: len(letters.findall(head)) * _DENSE.get(script, 1) for script, letters in _LETTERS.items()}
    script = max(signs, key=signs.__getitem__)
    if not signs[script]:
        return ""
    if script in ("han", "kana"):
        return "ja" if signs["kana"] > _KANA_SHARE * signs["han"] else "zh"
    if script in _TOLD_BY:
        return _by_letters(head, script)
    return _by_words(head) if script == _LATIN else _ONE_LANGUAGE[script]


def languages_grouped(codes: Sequence[str]) -> list[str]:
    """What the languages of rows are called, where those in Latin script with few rows are put together.

    Args:
        codes: Of the rows; empty for text of none.
    """
    counts = Counter(codes)
    alone = {"", "en", *_NOT_LATIN}
    small = {code for code, count in counts.items() if count < FEWEST_ROWS and code not in alone}
    return [OTHER_LATIN if code in small else code or NO_LANGUAGE for code in codes]


def _by_letters(text: str, script: str) -> str:
    hits = {code: sum(text.count(letter) for letter in letters) for code, letters in _TOLD_BY[script]}
    best = max(hits, key=hits.__getitem__)
    return best if hits[best] else next(code for code, letters in _TOLD_BY[script] if not letters)


def _by_words(text: str) -> str:
    """The language whose function words are most; English where it is level with another."""
    words = _WORD.findall(text.lower())
    hits: Counter[str] = Counter()
    for word in words:
        hits.update(_LANGUAGES_OF.get(word, ()))
    if hits and hits["en"] == max(hits.values()):
        return "en"
    best = max(hits, key=hits.__getitem__, default="")
    # One word of a long text is a name or a piece of code.
    if best and (len(words) <= _SHORT or len(set(words).intersection(_WORDS[best].split())) > 1):
        return best
    if len(_ACCENTED.findall(text)) > _ACCENTS * len(text):
        return OTHER_LATIN
    return "en" if hits["en"] else ""
