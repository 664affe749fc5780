"""The dictionary of attributes: nouns that name one value of a thing, with the type that it has by common use.

Compiled by hand, November 2026. A noun may stand here only if "with X" can mean nothing but such a value: what a
service could *do* (search, login), relate (owner, members) or compute (total, average) stands nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worksite.architect.domain.words import listed
from worksite.common.blueprints import FieldType

_NOUNS: Mapping[FieldType, str] = {
    "text": (
        "title, subtitle, name, nickname, surname, forename, given name, family name, maiden name, headline, "
        "caption, label, summary, description, short description, long description, abstract, synopsis, excerpt, "
        "body, content, question, answer, subject, topic, comment, remark, remarks, note, notes, memo, "
        "instructions, directions, steps, ingredients, author, artist, composer, director, publisher, "
        "illustrator, singer, narrator, inventor, photographer, manufacturer, brand, model, genre, category, "
        "kind, species, breed, variety, cuisine, material, flavour, flavor, ingredient, isbn, issn, ean, upc, "
        "sku, serial number, part number, article number, item number, model number, product number, product "
        "code, vin, license plate, licence plate, registration number, invoice number, order number, customer "
        "number, employee number, student number, job title, position, department, company, organisation, "
        "organization, company name, employer, profession, occupation, degree, major, course name, street, street "
        "address, house number, city, town, village, state, province, region, county, country, continent, "
        "postcode, postal code, zip, zip code, nationality, venue, aisle, shelf, album, band, lyrics, platform, "
        "chapter, edition, isbn number, mood, symptoms, diagnosis, dosage, allergies, blood type, habitat, "
        "origin, roast, vintage, grape, scientific name, latin name, file name, domain name, team name, club, "
        "league, opponent, stadium, instrument, recipe name, difficulty, make, color, colour, condition, "
        "denomination, instructor, carrier, roast level, roaster, sender, recipient, grade, unit, unit of "
        "measure, unit of measurement, skill level, experience level, job description, dial code, iata code, "
        "icao code, course code, license number, licence number, passport number, tracking number, account holder, "
        "contact person, exercise, frequency, plate, plate number, number plate, fuel type, engine type, body type, "
        "type, room type, property type, event type, product type, item type, account type, plant type, meal type, "
        "username, user name, hometown, birthplace, place of birth, place, shape, "
        "texture, pattern, fabric, sex, gender, religion, hair color, hair colour, eye color, eye colour, "
        "storage location, shelf location, warehouse location, size, text, message, contact number, code"
    ),
    "integer": (
        "quantity, stock, stock level, stock quantity, pages, page count, number of pages, year, age, calories, "
        "servings, number of servings, seats, number of seats, capacity, copies, number of copies, number of "
        "rooms, bedrooms, number of bedrooms, bathrooms, number of bathrooms, number of floors, horsepower, "
        "mileage, population, number of players, number of episodes, number of seasons, issue number, page "
        "number, volume number, track number, jersey number, room number, table number, shirt number, chapter "
        "number, reps, repetitions, runtime minutes, units, credits, year of birth, year of publication, year built, "
        "min players, max players, minimum players, maximum players, min age, minimum age, "
        "number of doors, number of pieces, vintage year"
    ),
    "decimal": (
        "price, cost, amount, weight, height, width, length, depth, diameter, thickness, area, surface area, "
        "salary, wage, hourly rate, daily rate, rent, deposit, budget, latitude, longitude, altitude, elevation, "
        "distance, temperature, humidity, pressure, voltage, wattage, gpa, percentage, alcohol content, alcohol "
        "percentage, fat, protein, carbs, sugar, rating, star rating, price per night, price per day, price per "
        "hour, price per month, price per unit, price per kg, cost per unit, value, market value, duration, play "
        "time, playing time, prep time, preparation time, cook time, cooking time, running time, run time, "
        "runtime, volume, speed, top speed, fee, tuition, interest rate, square footage, square meters"
    ),
    "boolean": (
        "active, done, completed, finished, available, in stock, out of stock, discontinued, archived, published, "
        "favourite, favorite, featured, urgent, fragile, vegetarian, vegan, gluten free, organic, resolved, is "
        "active, is done, is completed, is finished, is available, is archived, is published, is favourite, is "
        "favorite, paid, is paid, is urgent, in print, completed flag, done flag, active flag"
    ),
    "date": (
        "date, birthday, birthdate, birth date, date of birth, date of death, due date, deadline, day, "
        "anniversary, published on, released on, bought on, sold on, hired on, starts on, ends on, due on, date "
        "of purchase, date of publication, planted on, acquired on, adopted on, founded on, died on, born on, "
        "expires on, member since, customer since, employed since, date of hire, date of entry, date of visit"
    ),
    "datetime": (
        "starts at, ends at, start time, end time, departure time, arrival time, published at, departs at, "
        "arrives at, date and time, timestamp"
    ),
    "email": "email, e mail, email address, e mail address, mail address, contact email, work email",
    "url": (
        "website, web site, homepage, home page, url, link, web address, website url, image url, photo url, "
        "picture url, cover url, video url, image link, linkedin url, profile url, product url, source url, "
        "repository url"
    ),
}  # fmt: skip

_DOUBTFUL = listed(
    "email, e mail, email address, e mail address, contact email, website, web site, homepage, home page, url, "
    "link, phone, phone number, telephone, telephone number, mobile number, location, address, language, "
    "currency, status, version, deadline, temperature, humidity, pressure, timestamp, comment, note, notes, "
    "remarks, content, body, published, archived, paid, is paid, label, category, topic, state, position, "
    "question, answer, day, active, available, stock, stock level, distance, latitude, longitude, platform, "
    "model, priority, featured, favourite, favorite, rating, code, type, exercise, frequency, place, pattern, size, "
    "text, message, speed, volume, duration, value, fee, carrier, sender, recipient"
)
"""Alone they could also mean something that the service does ("with email"); next to another attribute they do not."""

_DOUBTFUL_TEXT = (
    "phone, phone number, telephone, telephone number, mobile number, location, address, billing address, language, "
    "currency, "
    "status, version, priority"
)
_NO_ARTICLE = frozenset(("website", "web site", "homepage", "home page", "link"))
"""A thing to be built once an article stands before it: "with a website"."""

_MODIFIERS = listed(
    "unit, purchase, buying, selling, sale, sales, retail, list, base, net, gross, original, first, last, full, "
    "middle, birth, publication, publishing, publish, release, start, end, due, expiry, expiration, issue, founding, "
    "delivery, shipping, order, invoice, hire, hiring, join, joining, contact, home, work, mobile, business, "
    "short, long, display, product, item, book, author, company, job, project, event, customer, supplier, pet, "
    "owner, artist, album, song, movie, film, team, player, course, recipe, cover, departure, arrival, return, "
    "harvest, planting, vaccination, published, released, production, manufacturing, model, creation, opening, "
    "closing, visit, meeting, exam, graduation, death, wedding"
)
"""First words of a compound whose head decides the type: "publication date", "unit price", "first name"."""
_HEADS = listed(
    "name, date, price, cost, title, year, weight, description, city, country, street, phone, email, code, number, "
    "address, postcode, isbn, notes"
)
_HEAD_TYPES: Mapping[str, FieldType] = {"code": "text", "number": "text"}
_PERSONS = listed(
    "reviewer, sender, recipient, teacher, client, user, instructor, doctor, patient, student, employee, tenant"
)
"""Whose name it is."""
_UNITS = listed(
    "milliseconds, seconds, minutes, hours, days, weeks, months, years, millimeters, millimetres, centimeters, "
    "centimetres, meters, metres, kilometers, kilometres, mm, cm, km, miles, feet, inches, grams, kilograms, kg, "
    "pounds, ounces, liters, litres, ml, celsius, fahrenheit, percent"
)
_MEASURES = listed("age, duration, interval, length, size, speed, time, volume")
"""With a unit, numbers; `_NOUNS` has more of them. No currencies: somebody might expect conversion."""
_DONE = listed(
    "acquired, adopted, applied, born, bought, brewed, cleaned, completed, eaten, fed, fertilised, fertilized, "
    "finished, founded, harvested, hired, inspected, issued, opened, ordered, paid, planted, played, pruned, "
    "published, purchased, read, received, released, repaired, repotted, roasted, serviced, sold, started, "
    "tasted, vaccinated, visited, watched, watered"
)
"""What happens away from the service, which therefore cannot know the day by itself, as it could of "last updated"."""
_DAYS = frozenset(
    phrase.format(done)
    for done in _DONE
    for phrase in ("{} on", "{} date", "date {}", "last {}", "last {} on", "last {} date", "date last {}")
)

CANONICAL: Mapping[str, str] = {
    "e mail": "email", "e mail address": "email_address", "zip": "zip_code", "web site": "website",
}  # fmt: skip
"""Names that differ from the words."""


_TYPES: Mapping[str, FieldType] = {
    **{phrase: kind for kind, phrases in _NOUNS.items() for phrase in phrases.split(", ")},
    **dict.fromkeys(_DOUBTFUL_TEXT.split(", "), "text"),
    **dict.fromkeys(sorted(_DAYS), "date"),
    **{f"{person} name": "text" for person in sorted(_PERSONS)},
}


def type_of(phrase: str) -> FieldType | None:
    """The type of an attribute, or of a compound whose head is one; None for any other noun."""
    if known := _TYPES.get(phrase):
        return known
    measure, _, unit = phrase.partition(" in ")
    if unit in _UNITS:
        return "decimal" if measure in _MEASURES or type_of(measure) in {"integer", "decimal"} else None
    *modifiers, head = phrase.split(" ")
    if len(modifiers) != 1 or modifiers[0] not in _MODIFIERS or head not in _HEADS:
        return None
    return _HEAD_TYPES.get(head) or _TYPES[head]


def is_moment(words: Sequence[str]) -> bool:
    """Does it say when something was done that the service has no part in: "issued at"?"""
    return len(words) == 2 and words[0] in _DONE and words[1] in {"at", "on"}


def is_modifier(word: str) -> bool:
    """May it stand before an attribute and only say which one?"""
    return word in _MODIFIERS or word in _TYPES


def is_doubtful(phrase: str) -> bool:
    """Does it name an attribute only in the company of others?"""
    return phrase in _DOUBTFUL


def bears_article(phrase: str) -> bool:
    """May "a" or "the" stand before it without naming something to be built?"""
    return phrase not in _NO_ARTICLE
