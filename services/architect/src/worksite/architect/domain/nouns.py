"""Singular and plural of English nouns, as far as both are certain."""

from __future__ import annotations

from worksite.architect.domain.words import listed

_PAIRS = listed(
    "alias/aliases, analysis/analyses, appendix/appendices, atlas/atlases, axe/axes, bonus/bonuses, "
    "brownie/brownies, bus/buses, cache/caches, cactus/cacti, calf/calves, calorie/calories, campus/campuses, "
    "canoe/canoes, canvas/canvases, census/censuses, child/children, circus/circuses, cookie/cookies, "
    "crisis/crises, criterion/criteria, diagnosis/diagnoses, echo/echoes, elf/elves, foot/feet, fungus/fungi, "
    "gas/gases, genius/geniuses, gnu/gnus, goose/geese, half/halves, hero/heroes, house/houses, "
    "hypothesis/hypotheses, knife/knives, leaf/leaves, lens/lenses, life/lives, loaf/loaves, man/men, "
    "mango/mangoes, matrix/matrices, menu/menus, mouse/mice, movie/movies, niche/niches, nucleus/nuclei, "
    "octopus/octopuses, ox/oxen, person/people, phenomenon/phenomena, pie/pies, potato/potatoes, quiz/quizzes, "
    "scarf/scarves, selfie/selfies, shelf/shelves, shoe/shoes, smoothie/smoothies, status/statuses, "
    "thesis/theses, thief/thieves, tie/ties, toe/toes, tofu/tofus, tomato/tomatoes, tooth/teeth, vertex/vertices, "
    "virus/viruses, volcano/volcanoes, walrus/walruses, wife/wives, wolf/wolves, woman/women, zombie/zombies"
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
    one = _as_singular(word)
    many = plural(one)
    certain = one not in _SAME and len(one) >= 3 and word in {one, many} and _as_singular(many) == one
    return (one, many) if certain else None


def is_plural(word: str) -> bool:
    """Is it the plural of something?"""
    both = numbers(word)
    return both is not None and word == both[1]


def _as_singular(word: str) -> str:
    """The word itself where it is a singular."""
    if known := _SINGULARS.get(word):
        return known
    if word in _IRREGULAR or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("xes", "ches", "shes", "sses", "tuses", "zzes")) else word[:-1]
