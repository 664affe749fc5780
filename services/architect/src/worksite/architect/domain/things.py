"""Which nouns name a thing that records are kept of, and which name something that a service would have to do.

Compiled by hand, November 2026. What stands nowhere here is open: it names a thing only in the plural, where the
sentence says that such things are kept ("an API for gizmos"), or where its field is given a type.
"""

from __future__ import annotations

from worksite.architect.domain.nouns import is_plural
from worksite.architect.domain.words import listed

THINGS = listed(
    "activity, actor, agency, airline, airport, album, allergen, animal, answer, antique, apartment, appliance, "
    "applicant, appointment, armor, article, artist, artwork, asset, assignment, athlete, author, bag, bakery, band, "
    "bar, bean, bear, beer, bicycle, bike, bird, boat, book, bookmark, bottle, bouquet, box, brand, brewery, bridge, "
    "broker, building, burger, bus, cabin, cafe, cake, camp, campus, candidate, candle, car, cat, category, ceramic, "
    "chair, chapter, character, cheese, chef, child, chore, church, cinema, city, class, classroom, client, climb, "
    "clinic, club, coach, cocktail, coffee, coin, collector, comic, committee, company, competitor, computer, "
    "concert, conference, contact, contract, contractor, cook, cookie, cottage, country, course, court, cow, "
    "creature, customer, dancer, deck, department, desk, dessert, destination, device, dinner, dinosaur, director, "
    "dish, disk, doctor, document, dog, donation, donor, door, dragon, dress, drink, driver, dvd, employee, employer, "
    "entry, episode, errand, event, exam, exercise, exhibit, exhibition, expense, experiment, expert, fabric, "
    "factory, family, farm, farmer, ferry, festival, fielder, film, firm, flat, flight, flower, food, forest, friend, "
    "fruit, gallery, game, garage, garden, gem, genre, gift, goal, guest, guide, guitar, gym, habit, hat, hero, hike, "
    "hobby, holiday, home, horse, hospital, hotel, house, houseplant, idea, ingredient, insect, instructor, "
    "instrument, insurer, invention, invoice, island, issue, item, jacket, jewel, job, joke, journal, kitten, lake, "
    "landlord, laptop, lawyer, league, lecture, lecturer, lender, lesson, letter, listing, loan, locker, lorry, "
    "magazine, maker, manager, manufacturer, material, meal, medicine, meeting, member, memo, mentor, menu, mineral, "
    "mission, monster, monument, mother, motor, motorcycle, mountain, movie, museum, mushroom, musician, note, novel, "
    "nurse, offer, office, officer, opera, opponent, order, organisation, organization, owner, painting, paper, "
    "parcel, park, part, partner, passenger, patient, pen, perfume, person, pet, phone, photographer, piano, pie, "
    "pizza, place, plane, planet, plant, player, playlist, podcast, poem, poet, pokemon, position, post, poster, "
    "potion, practitioner, prisoner, prize, product, professor, profile, programme, project, property, proverb, "
    "publisher, puppy, puzzle, quest, question, race, reader, recipe, record, recruiter, researcher, restaurant, "
    "retailer, river, room, sailor, salad, sandwich, school, scooter, sculpture, season, seat, seller, seminar, "
    "sensor, shareholder, shelf, ship, shoe, singer, site, snack, sofa, song, soup, souvenir, speaker, spell, spice, "
    "stadium, stamp, statue, stone, story, student, subject, supplier, surfboard, tailor, task, tea, teacher, team, "
    "tenant, textbook, theater, theatre, ticket, tile, tire, todo, tool, topic, tour, tournament, town, toy, trail, "
    "trailer, train, trainee, trainer, traveler, traveller, tree, trick, trip, truck, tutor, user, vaccine, "
    "vegetable, vehicle, vendor, venue, village, vinyl, visitor, volunteer, voucher, warehouse, warrior, weapon, "
    "wedding, whiskey, whisky, wine, worker, workout, workshop, writer, yacht, zoo"
)
"""Known in the singular too: "recipe API"."""

MACHINES = listed("auction, bank, camera, election, engine, lamp, machine, model, printer, quiz, quote, robot")
"""Things in the plural; one of them alone would be asked to do something: an "auction API" takes bids."""

FOLLOWED = listed(
    "animal, asset, bike, boat, bus, car, child, client, container, customer, device, driver, employee, event, flight, "
    "friend, habit, order, parcel, person, phone, plane, position, price, ship, stock, storm, train, trip, truck, "
    "user, vehicle, visitor, worker"
)
"""To track these may mean to know where they are, or how they do, at any time."""

VENUES = listed(
    "clinic, club, company, farm, garden, gym, hospital, library, museum, office, school, shelter, university, zoo"
)
"""Where things are kept that stand behind a colon: "API for a gym: members with name". None is asked to act."""

COMPOUNDS = listed(
    "job_application, sensor_reading, temperature_reading, meter_reading, weather_measurement, body_measurement"
)
"""Things although their last word alone would name a deed."""

APPS = listed("bookmark, contact, expense, grocery, note, recipe, task, todo")
"""What an "app" keeps that is called after it, so that its backend keeps these."""

TOPICS = listed(
    "beer, blog, board, body, book, business, car, city, class, coffee, coin, company, computer, course, customer, "
    "event, family, field, film, flower, food, football, forum, fruit, garden, grocery, guest, hiking, home, hotel, "
    "house, indoor, inventory, job, kitchen, lab, library, menu, meter, movie, museum, music, office, park, party, "
    "pet, playing, product, pub, real, restaurant, road, room, sales, school, science, sensor, shop, sports, stamp, "
    "store, student, supply, support, tea, team, temperature, tennis, theme, todo, trading, travel, tv, university, "
    "video, vintage, vinyl, weather, wedding, wine, work, zoo"
)
"""What may stand before a thing: "support ticket". An adjective may not: "private notes" would have to be hidden."""

TYPED_TOPICS = listed(
    "banking, boarding, delivery, farming, fishing, fitness, hunting, insurance, laundry, maintenance, parking, "
    "plumbing, quality, registration, repair, safety, training, transport, warranty, weight"
)
"""Beside `TOPICS`, what may stand before a thing that has a typed field: the types say that records are meant."""

RECORDED = listed("inspection, measurement, observation, reading, recording, sighting, vaccination")
"""Things where a field has a type: alone each could also name what a service does."""

WARES = listed(
    "bike, book, cake, candle, card, coffee, comic, flower, furniture, game, gift, guitar, music, pet, plant, "
    "record, shoe, tea, toy, vinyl, wine"
)
"""What a shop may be named after: a "pet shop" keeps pets, a "web shop" does not keep webs."""
SHOPS = ("shop", "store")
PLACES = {
    "address book": "contact", "blog": "post", "bookshop": "book", "contact book": "contact",
    "grocery list": "item", "phone book": "contact", "phonebook": "contact", "shopping list": "item",
    "bookstore": "book", "inventory": "item", "toyshop": "toy", "zoo": "animal",
    "cookbook": "recipe", "winery": "wine", "stockroom": "item", "wine cellar": "wine", "wine rack": "wine",
    "bookshelf": "book",
}  # fmt: skip
"""Places and collections, and the thing that is kept there."""
COLLECTIONS = listed(
    "archive, catalog, catalogue, collection, crud, database, directory, entity, inventory, list, management, "
    "manager, record, registry, resource"
)
"""Said of a thing ("movie collection"), these speak of its records."""

DOINGS = listed(
    "account, admin, ai, alarm, alert, alexa, algorithm, alias, analysis, analytics, android, angular, ansible, api, "
    "app, application, approval, attachment, auth, authentication, authorisation, authorization, automation, avatar, "
    "aws, azure, backup, badge, balance, barcode, basket, bid, billing, blockchain, booking, bootstrap, bot, "
    "broadcast, build, bulk, cache, caching, calculator, calendar, call, cart, cassandra, celery, certificate, chart, "
    "chat, chatbot, checkout, clock, cloud, cluster, code, column, command, compiler, compute, connection, container, "
    "conversion, converter, cors, countdown, crawl, crawler, cron, cropping, currency, dashboard, data, deploy, "
    "deployment, diff, digest, discord, discount, django, docker, domain, download, draft, duplicate, dynamodb, e, "
    "elasticsearch, email, embed, encryption, endpoint, exchange, export, facebook, fastapi, favorites, fee, feed, "
    "field, file, filter, firebase, firewall, flask, folder, follower, forecast, form, format, forum, function, "
    "gateway, gcp, geocode, geolocation, git, github, gitlab, golang, google, gpt, grafana, graph, graphql, grpc, "
    "gui, hash, hashing, helm, heroku, history, hook, host, html, http, i18n, icon, image, import, inbox, index, "
    "indexing, instagram, installation, integration, interface, invitation, invite, ios, java, javascript, jwt, "
    "kafka, kotlin, kubernetes, lambda, layout, leaderboard, library, like, link, linkedin, linux, llm, load, locale, "
    "localization, lock, log, logging, login, logout, lookup, loyalty, mail, mailer, map, mariadb, marketplace, mcp, "
    "media, message, messaging, messenger, metadata, metric, middleware, migration, mobile, modal, module, mongo, "
    "mongodb, monitor, monitoring, mysql, neo4j, network, newsletter, nginx, node, nodejs, notification, notifier, "
    "number, oauth, onboarding, openai, openapi, oracle, otp, overflow, package, page, paginator, paging, panel, "
    "parser, partition, pass, passkey, password, pay, payment, payout, paypal, payroll, pdf, permission, photo, php, "
    "picker, picture, pin, pipeline, plugin, poll, popup, portal, postgres, postgresql, prediction, preview, pricing, "
    "print, prints, prisma, privacy, process, prometheus, prompt, proxy, push, pytest, python, qr, query, queue, "
    "rabbitmq, rank, ranking, rate, react, recommendation, recurrence, redirect, redis, refund, relation, reminder, "
    "replica, report, repository, request, reservation, reward, role, route, rss, ruby, rule, rust, saas, scanning, "
    "schedule, scheduler, scraper, scraping, script, sdk, search, secret, security, send, sends, sentry, server, "
    "service, session, setting, sharding, share, shipping, shop, signature, signup, sitemap, slack, sms, snapshot, "
    "socket, software, space, spam, speech, sport, sqlite, sso, stat, statistic, stats, stock, storage, store, "
    "stream, streaming, stripe, subscriber, subscription, sum, supabase, svelte, swagger, swift, sync, system, tag, "
    "tagging, tailwind, tax, tcp, telegram, template, terminal, terraform, test, theme, throttling, thumbnail, "
    "timeline, timer, token, total, tracker, tracking, transaction, transcript, transfer, translation, trend, "
    "trigger, twilio, twitter, typescript, udp, ui, update, upload, url, utility, validation, validator, vercel, "
    "verification, version, versioning, video, view, virus, voice, vote, vpn, vue, wallet, web, webhook, webpage, "
    "website, websocket, whatsapp, widget, wiki, windows, wishlist, wizard, workflow, xml, yaml, youtube, zapier, "
    "zip, zoom"
)
"""As a thing or as an attribute each would promise behaviour, or mean a part of software."""

SECRETS = listed(
    "cvv, passcode, passphrase, passwd, password, pin, pwd, secret, ssn, token, credential, private_key, api_key, "
    "credit_card, credit_card_number, card_number"
)
"""What nobody may keep as it is, and show to everyone who asks, although it has a type."""

QUALIFIERS = listed(
    "auto, automatic, average, current, dynamic, external, foreign, hidden, live, nested, primary, private, public, "
    "random, secure, soft, total, valid, virtual"
)
"""Before a noun they say where its value comes from, which nobody tested."""

COMMANDS = listed(
    "approve, ask, assign, block, calculate, call, charge, check, compute, contact, count, encrypt, fetch, generate, "
    "hide, inform, invite, merge, notify, open, pay, print, reject, remind, render, reset, send, show, sync, tell, "
    "thank, track, translate, verify, warn, welcome"
)
"""Before a noun each would tell the service what to do with it: "notify customer: text"."""

LABELS = listed("amount, category, code, count, date, id, level, name, number, reference, score, status, type")
"""Heads that make an attribute even of a deed: "account number"."""

LABELLED = listed(
    "account, approval, badge, balance, bid, billing, booking, call, cart, certificate, checkout, currency, discount, "
    "domain, download, exchange, fee, file, form, host, installation, invitation, issue, layout, library, link, "
    "message, mobile, package, page, pass, payment, payout, payroll, process, project, rank, ranking, refund, report, "
    "request, reservation, reward, role, route, rule, service, shipping, shop, subscription, tax, template, test, "
    "tracking, transaction, transfer, validation, vote, zip"
)
"""Deeds that such a head turns into a value of a record; "search amount" and "chat date" name none."""

_ADJECTIVE_ENDINGS = ("ed", "ly", "ful", "able", "ible", "less", "ive", "ous", "al")
_DEED_ENDINGS = (
    "ing", "tion", "sion", "ment", "ance", "ence", "izer", "iser", "er", "or", "ics", "ity", "ness", "sis",
    "ure", "ism", "ed", "ly", "ful", "able", "ible", "less", "ive", "ous", "ist", "al", "ry",
)  # fmt: skip


ATTRIBUTES = listed("color, colour, flavor, flavour, gender, heading, meaning, number, rating, spelling")
"""Attributes without a type of their own that only look like something that is done."""

OBJECTS = listed(
    "account, avatar, code, currency, domain, format, host, icon, image, language, link, location, message, "
    "photo, picture, role, tag, tags, theme, thumbnail, url, version, video, page, number, network, like, pin, "
    "zip"
)
"""Named in `DOINGS`, yet things: with a type of text or an address they are attributes, as in "photo: url"."""


def names_deed(singular: str) -> bool:
    """Does a noun that is not known as a thing look like something that is done, or that does something?"""
    known = singular in THINGS or singular in MACHINES
    return singular in DOINGS or (not known and singular.endswith(_DEED_ENDINGS))


def may_qualify(word: str, head: str) -> bool:
    """May a noun stand before another that is given a type, and only say which one? Not an adjective or a command:
    they would promise something of the value."""
    adjective = word not in THINGS and word.endswith(_ADJECTIVE_ENDINGS)
    if adjective or word in QUALIFIERS | COMMANDS or (is_plural(word) and word not in TOPICS):
        return False
    return word not in DOINGS or (head in LABELS and word in LABELLED)
