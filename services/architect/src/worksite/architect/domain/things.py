"""Which nouns name a thing that records are kept of, and which name something that a service would have to do.

Compiled by hand, November 2026. What stands nowhere here is open: it names a thing only in the plural, where the
sentence says that such things are kept ("an API for gizmos"), or where its field is given a type.
"""

from __future__ import annotations

from worksite.architect.domain.words import listed

THINGS = listed(
    "activity, actor, agency, airline, airport, album, allergen, animal, answer, antique, apartment, appliance, "
    "applicant, appointment, armor, article, artist, artwork, asset, assignment, athlete, auction, author, bag, "
    "bakery, band, bank, bar, bean, bear, beer, bicycle, bike, bird, blog, boat, book, bottle, bouquet, box, "
    "brand, brewery, bridge, broker, building, burger, bus, cabin, cafe, cake, camera, camp, campus, "
    "candidate, candle, car, cat, category, ceramic, chair, chapter, character, cheese, chef, child, chore, "
    "church, cinema, city, class, classroom, client, climb, clinic, club, coach, cocktail, coffee, coin, "
    "collector, comic, committee, company, competitor, computer, concert, conference, contact, contract, "
    "contractor, cook, cookie, cottage, country, course, court, cow, creature, customer, dancer, deck, "
    "department, desk, dessert, destination, device, dinner, dinosaur, director, dish, disk, doctor, document, "
    "dog, donation, donor, door, dragon, dress, drink, driver, dvd, election, employee, employer, engine, entry, "
    "episode, errand, event, exam, exercise, exhibit, exhibition, expense, experiment, expert, fabric, factory, "
    "family, farm, farmer, ferry, festival, fielder, film, firm, flat, flight, flower, food, forest, friend, "
    "fruit, gallery, game, garage, garden, gem, genre, gift, goal, guest, guide, guitar, gym, habit, hat, hero, "
    "hike, hobby, holiday, home, horse, hospital, hotel, house, idea, ingredient, insect, instructor, instrument, "
    "insurer, invention, invoice, island, issue, item, jacket, jewel, job, joke, journal, kitten, lake, lamp, "
    "landlord, lawyer, league, lecture, lecturer, lender, lesson, letter, listing, loan, locker, lorry, machine, "
    "magazine, maker, manager, manufacturer, material, meal, medicine, meeting, member, memo, mentor, menu, "
    "mineral, mission, model, monster, monument, mother, motor, motorcycle, mountain, movie, museum, mushroom, "
    "musician, note, novel, nurse, offer, office, officer, opera, opponent, order, organisation, organization, "
    "owner, painting, paper, parcel, park, part, partner, passenger, patient, pen, perfume, person, pet, phone, "
    "photographer, piano, pie, pizza, place, plane, planet, plant, player, playlist, podcast, poem, poet, "
    "pokemon, position, post, poster, potion, practitioner, printer, prisoner, prize, product, professor, "
    "profile, programme, project, property, proverb, publisher, puppy, puzzle, quest, question, quiz, quote, "
    "race, reader, recipe, record, recruiter, researcher, restaurant, retailer, river, robot, room, sailor, "
    "salad, sandwich, school, scooter, sculpture, season, seat, seller, seminar, sensor, shareholder, shelf, "
    "ship, shoe, singer, site, snack, sofa, song, soup, souvenir, speaker, spell, spice, stadium, stamp, statue, "
    "stone, story, student, subject, supplier, surfboard, tailor, task, tea, teacher, team, tenant, textbook, "
    "theater, theatre, ticket, tile, tire, todo, tool, topic, tour, tournament, town, toy, trail, trailer, train, "
    "trainee, trainer, traveler, traveller, tree, trick, trip, truck, tutor, user, vaccine, vegetable, "
    "vehicle, vendor, venue, village, vinyl, visitor, volunteer, voucher, warehouse, warrior, weapon, wedding, "
    "whiskey, whisky, wine, worker, workout, workshop, writer, yacht, zoo"
)
"""Known in the singular too: "recipe API"."""

TOPICS = listed(
    "beer, blog, board, book, business, car, city, class, coffee, company, computer, course, customer, event, "
    "family, field, film, flower, food, football, forum, fruit, garden, grocery, guest, home, hotel, house, job, "
    "kitchen, lab, library, menu, movie, museum, music, office, park, party, pet, playing, product, pub, real, "
    "restaurant, road, room, sales, school, science, shop, sports, store, student, supply, support, tea, team, "
    "tennis, theme, todo, trading, travel, tv, university, video, vintage, vinyl, wedding, wine, work, zoo"
)
"""What may stand before a thing: "support ticket". An adjective may not: "private notes" would have to be hidden."""

WARES = listed(
    "bike, book, cake, candle, card, coffee, comic, flower, furniture, game, gift, guitar, music, pet, plant, "
    "record, shoe, tea, toy, vinyl, wine"
)
"""What a shop may be named after: a "pet shop" keeps pets, a "web shop" does not keep webs."""
SHOPS = ("shop", "store")
PLACES = {
    "bookshop": "book", "bookstore": "book", "inventory": "item", "toyshop": "toy", "zoo": "animal",
    "cookbook": "recipe", "winery": "wine", "stockroom": "item",
}  # fmt: skip
"""Places and collections, and the thing that is kept there."""
COLLECTIONS = listed(
    "archive, catalog, catalogue, collection, crud, database, directory, inventory, list, management, manager, "
    "record, registry"
)
"""Said of a thing ("movie collection"), these speak of its records."""

DOINGS = listed(
    "account, admin, ai, alarm, alert, alexa, algorithm, alias, analysis, analytics, android, angular, ansible, "
    "api, app, application, approval, auth, authentication, authorisation, authorization, automation, avatar, "
    "aws, azure, backup, badge, balance, barcode, basket, billing, blockchain, booking, bootstrap, bot, "
    "broadcast, build, bulk, cache, calculator, calendar, call, cart, cassandra, celery, certificate, chart, "
    "chat, chatbot, checkout, clock, cloud, cluster, code, command, compiler, compute, connection, container, "
    "conversion, converter, cors, crawl, crawler, cron, currency, dashboard, data, deploy, deployment, diff, "
    "digest, discord, discount, django, docker, domain, download, draft, duplicate, dynamodb, e, elasticsearch, "
    "email, embed, encryption, endpoint, exchange, export, facebook, fastapi, favorites, fee, feed, file, filter, "
    "firebase, firewall, flask, folder, follower, forecast, form, format, forum, function, gateway, gcp, geocode, "
    "geolocation, git, github, gitlab, golang, google, gpt, grafana, graph, graphql, grpc, gui, hash, helm, "
    "heroku, history, hook, host, html, http, i18n, icon, image, import, inbox, index, instagram, installation, "
    "integration, interface, invitation, invite, ios, java, javascript, jwt, kafka, kotlin, kubernetes, lambda, "
    "layout, leaderboard, library, like, link, linkedin, linux, llm, load, locale, localization, lock, log, "
    "login, logout, lookup, loyalty, mail, mailer, map, mariadb, marketplace, mcp, media, message, messenger, "
    "metadata, metric, middleware, migration, mobile, modal, module, mongo, mongodb, monitor, mysql, neo4j, "
    "network, newsletter, nginx, node, nodejs, notification, notifier, number, oauth, openai, openapi, oracle, "
    "otp, overflow, package, page, paginator, paging, panel, parser, partition, pass, passkey, password, pay, "
    "payment, payout, paypal, payroll, pdf, permission, photo, php, picture, pin, pipeline, plugin, poll, popup, "
    "portal, postgres, postgresql, prediction, pricing, print, prints, prisma, privacy, process, prometheus, "
    "prompt, proxy, push, pytest, python, qr, query, queue, rabbitmq, rank, ranking, rate, react, recommendation, "
    "redirect, redis, refund, relation, replica, report, repository, request, reservation, reward, role, route, "
    "rss, ruby, rule, rust, saas, schedule, scheduler, scraper, script, sdk, search, secret, security, send, "
    "sends, sentry, server, service, session, setting, share, shipping, shop, signup, sitemap, slack, sms, "
    "snapshot, socket, software, space, spam, speech, sport, sqlite, sso, stat, statistic, stats, stock, storage, "
    "store, stream, stripe, subscriber, subscription, sum, supabase, svelte, swagger, swift, sync, system, tag, "
    "tailwind, tax, tcp, telegram, template, terminal, terraform, test, theme, thumbnail, timeline, timer, token, "
    "total, tracker, tracking, transaction, transcript, transfer, translation, trend, trigger, twilio, twitter, "
    "typescript, udp, ui, update, upload, url, utility, validator, vercel, version, video, view, virus, voice, "
    "vpn, vue, wallet, web, webhook, webpage, website, websocket, whatsapp, widget, wiki, windows, wishlist, "
    "workflow, xml, yaml, youtube, zapier, zip, zoom"
)
"""As a thing or as an attribute each would promise behaviour, or mean a part of software."""

QUALIFIERS = listed("automatic, average, dynamic, external, foreign, live, nested, primary, random, total, virtual")
"""Before a noun they say where its value comes from, which nobody tested."""

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
    return singular in DOINGS or (singular not in THINGS and singular.endswith(_DEED_ENDINGS))
