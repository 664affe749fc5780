"""Singular and plural of English nouns, as far as both are certain."""

from __future__ import annotations

from worksite.architect.domain.words import listed

_PAIRS = listed(
    "person/people, child/children, man/men, woman/women, mouse/mice, goose/geese, foot/feet, tooth/teeth, "
    "ox/oxen, knife/knives, wife/wives, life/lives, leaf/leaves, shelf/shelves, wolf/wolves, loaf/loaves, "
    "half/halves, thief/thieves, calf/calves, scarf/scarves, elf/elves, analysis/analyses, thesis/theses, "
    "crisis/crises, hypothesis/hypotheses, diagnosis/diagnoses, criterion/criteria, phenomenon/phenomena, "
    "matrix/matrices, vertex/vertices, appendix/appendices, cactus/cacti, fungus/fungi, nucleus/nuclei, "
    "quiz/quizzes, potato/potatoes, tomato/tomatoes, hero/heroes, echo/echoes, volcano/volcanoes, mango/mangoes, "
    "bus/buses, gas/gases, lens/lenses, atlas/atlases, canvas/canvases, alias/aliases, menu/menus, gnu/gnus, "
    "tofu/tofus, movie/movies, cookie/cookies, pie/pies, tie/ties, zombie/zombies, calorie/calories, "
    "selfie/selfies, brownie/brownies, smoothie/smoothies, cache/caches, niche/niches, axe/axes, shoe/shoes, "
    "toe/toes, canoe/canoes, house/houses"
)
_IRREGULAR = dict(pair.split("/") for pair in sorted(_PAIRS))
_SINGULARS = {plural: singular for singular, plural in _IRREGULAR.items()}
_SAME = listed(
    "advice, aircraft, baggage, bread, clothes, cutlery, data, deer, equipment, feedback, fish, furniture, gear, "
    "glasses, hardware, homework, information, jeans, jewelry, knowledge, luggage, mail, means, media, "
    "merchandise, money, music, news, pants, rice, scissors, series, sheep, shorts, software, species, staff, "
    "stuff, traffic, trousers, weather, work"
)
"""Without a singular or a plural of its own."""
_SIBILANTS = ("s", "x", "z", "ch", "sh")


def plural(word: str) -> str:
    """The plural of a singular."""
    if known := _IRREGULAR.get(word):
        return known
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(_SIBILANTS) else f"{word}s"


def numbers(word: str) -> tuple[str, str] | None:
    """Singular and plural of a noun that may be either; None where one cannot be told from the other."""
    if word in _SAME or len(word) < 3 or not word.isalpha():
        return None
    one = _SINGULARS.get(word) or _as_singular(word)
    many = plural(one)
    certain = one not in _SAME and len(one) >= 3 and word in {one, many} and _as_singular(one) == one
    return (one, many) if certain else None


def is_plural(word: str) -> bool:
    """Is it the plural of something?"""
    both = numbers(word)
    return both is not None and word == both[1]


def _as_singular(word: str) -> str:
    """The word itself where it is a singular."""
    if word in _IRREGULAR or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("xes", "ches", "shes", "sses", "tuses", "zzes")) else word[:-1]
