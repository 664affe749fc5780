"""Which nouns name a thing that records are kept of, and which name something that a service would have to do.

Compiled by hand, November 2026. What stands nowhere here is open: it names a thing only in the plural, where the
sentence says that such things are kept ("an API for gizmos"), or where its field is given a type.
"""

from __future__ import annotations

from worksite.architect.domain.words import listed

THINGS = listed(
    "activity, actor, address, agency, agent, airline, airport, album, animal, answer, apartment, appliance, "
    "applicant, appointment, armor, article, artist, artwork, asset, assignment, athlete, author, bag, band, "
    "bank, bar, bean, bear, beer, bike, bicycle, bird, blog, boat, book, bottle, box, brand, bread, brewery, "
    "bridge, broker, building, burger, bus, cabin, cafe, cake, camera, camp, campus, candidate, car, card, cat, "
    "category, chair, character, chapter, cheese, chef, child, church, cinema, city, class, classroom, client, "
    "climb, clinic, club, coach, cocktail, coffee, coin, collector, colour, color, comic, committee, company, "
    "competitor, computer, concert, conference, contact, contractor, contract, cookie, cook, cottage, country, "
    "course, court, cow, creature, credit, customer, dancer, deck, deal, department, desk, dessert, destination, "
    "device, dinner, dinosaur, director, dish, disk, doctor, document, dog, donor, donation, door, dragon, dress, "
    "drink, driver, drone, drug, dvd, election, employee, employer, engine, entry, episode, event, exam, "
    "exercise, exhibit, exhibition, experiment, expense, expert, fabric, factory, family, farm, farmer, ferry, "
    "festival, fielder, film, firm, flat, flight, flower, food, forest, friend, fruit, game, garage, garden, gem, "
    "genre, gift, goal, gallery, guest, guide, guitar, gym, habit, hat, hero, hike, hobby, holiday, home, horse, "
    "hospital, hotel, house, idea, ingredient, insect, instructor, instrument, insurer, invoice, invention, "
    "island, item, jacket, job, joke, jewel, journal, key, kitten, lake, lamp, landlord, lawyer, lead, league, "
    "lecture, lecturer, lender, lesson, letter, library, listing, loan, locker, lorry, machine, magazine, maker, "
    "manager, manufacturer, material, meal, medicine, meeting, member, memo, menu, mentor, mineral, mission, "
    "model, monster, monument, mother, motor, motorcycle, mountain, movie, museum, mushroom, musician, note, "
    "novel, nurse, officer, offer, office, opera, opponent, order, organisation, organization, owner, painting, "
    "paper, park, parcel, part, partner, passenger, patient, pen, perfume, person, pet, phone, photographer, "
    "piano, pie, pizza, place, plane, planet, plant, player, playlist, podcast, poem, poet, pokemon, position, "
    "post, poster, potion, practitioner, printer, prisoner, prize, product, professor, profile, programme, "
    "project, property, proverb, publisher, puppy, puzzle, quest, question, quiz, quote, race, reader, recipe, "
    "record, recruiter, researcher, restaurant, retailer, ring, river, robot, room, route, sailor, salad, "
    "sandwich, school, scooter, sculpture, season, seat, seller, seminar, sensor, shareholder, shelf, ship, shoe, "
    "show, sighting, singer, site, snack, sofa, song, soup, souvenir, speaker, spell, spice, sport, stadium, "
    "staffer, stamp, star, station, statue, stone, story, student, subject, supplier, surfboard, table, tailor, "
    "task, tea, teacher, team, tenant, textbook, theater, theatre, ticket, tile, tire, tool, topic, tour, "
    "tournament, town, toy, track, trail, trailer, train, trainer, trainee, traveler, traveller, tree, trick, "
    "trip, truck, tutor, tv, vaccine, vegetable, vehicle, vendor, venue, village, vinyl, visitor, volunteer, "
    "voucher, walk, warehouse, warrior, watch, weapon, wedding, whisky, whiskey, wine, word, worker, workout, "
    "workshop, writer, yacht, zoo, todo, user, chore, errand, bug, issue, allergen, antique, auction, bakery, "
    "bouquet, candle, ceramic"
) - listed(
    "address, card, credit, deal, key, lead, library, route, show, star, table, track, walk, watch, word, agent, page"
)
"""Known in the singular too: "recipe API"."""

TOPICS = listed(
    "blog, board, book, business, car, city, class, coffee, company, computer, course, customer, event, family, "
    "film, food, football, forum, garden, grocery, home, hotel, house, kitchen, lab, library, menu, movie, "
    "museum, music, office, party, pet, pub, real, restaurant, room, sales, school, science, shop, sports, store, "
    "student, supply, support, team, tennis, theme, todo, travel, tv, university, video, wedding, wine, work, "
    "zoo, tea, beer, field, road, flower, fruit, guest, job, park, product"
) | {"vinyl", "playing", "trading", "vintage"}
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
    "account, admin, ai, alarm, alert, alexa, algorithm, analytics, analysis, api, app, application, approval, "
    "auth, authentication, authorization, authorisation, automation, avatar, aws, backup, badge, balance, bank, "
    "barcode, basket, billing, blockchain, booking, bot, broadcast, build, bulk, cache, calculator, calendar, "
    "call, cart, certificate, chart, chat, chatbot, checkout, client, clock, cloud, cluster, code, command, "
    "compiler, connection, container, conversion, converter, cookie, cors, cron, currency, dashboard, data, "
    "deploy, deployment, diff, digest, discord, discount, docker, domain, download, draft, email, e, mail, embed, "
    "encryption, endpoint, engine, exchange, export, facebook, favorites, fee, feed, file, filter, firewall, "
    "folder, follower, forecast, form, format, forum, function, gateway, geocode, geolocation, git, github, "
    "gitlab, google, gpt, graph, graphql, grpc, gui, hash, history, hook, host, html, http, i18n, icon, image, "
    "import, index, inbox, installation, instagram, integration, interface, invitation, invite, job, jwt, kafka, "
    "kubernetes, lambda, layout, leaderboard, library, like, linkedin, link, llm, load, locale, localization, "
    "lock, log, login, logout, lookup, loyalty, mailer, map, marketplace, match, mcp, media, message, messenger, "
    "metadata, metric, middleware, migration, mobile, model, modal, module, monitor, network, newsletter, node, "
    "notification, notifier, number, oauth, openai, otp, package, page, paginator, panel, parser, partition, "
    "pass, passkey, password, pay, payment, payout, paypal, payroll, pdf, permission, photo, picture, pin, "
    "pipeline, plugin, poll, popup, portal, prediction, pricing, print, printer, prints, privacy, process, "
    "prompt, proxy, push, qr, query, queue, rank, ranking, rate, recommendation, redis, redirect, refund, "
    "relation, replica, report, repository, request, reservation, review, reward, role, route, rss, rule, saas, "
    "schedule, scheduler, script, scraper, sdk, search, secret, security, send, sends, server, service, session, "
    "setting, share, shipping, shop, signup, sitemap, slack, sms, snapshot, socket, software, spam, speech, sso, "
    "stat, statistic, stats, stock, storage, store, stream, stripe, subscriber, subscription, sum, sync, system, "
    "tag, tags, tax, tcp, telegram, template, terminal, test, theme, thumbnail, timeline, timer, token, tool, "
    "total, tracker, tracking, transaction, transcript, transfer, translation, trigger, twilio, twitter, udp, ui, "
    "update, upload, url, utility, validator, version, video, view, virus, vote, voice, vpn, wallet, web, "
    "webhook, webpage, website, websocket, whatsapp, widget, wiki, wishlist, worker, workflow, xml, yaml, "
    "youtube, zip, zoom, zapier"
) - listed("cookie, job, tool, printer, worker, model, review, engine, client, tags, bank, match, vote")
"""As a thing or as an attribute each would promise behaviour, or mean a part of software."""

_DEED_ENDINGS = (
    "ing", "tion", "sion", "ment", "ance", "ence", "izer", "iser", "er", "or", "ics", "ity", "ness", "sis",
    "ure", "ism", "ed", "ly", "ful", "able", "ible", "less", "ive", "ous", "ist", "al", "ry",
)  # fmt: skip


ATTRIBUTES = listed(
    "rating, spelling, meaning, heading, gender, colour, color, flavour, flavor, number, temper, wing, ring"
)
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
