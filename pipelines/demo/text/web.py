"""What web pages say about themselves: sentences by hand, of which the pool's boilerplate is put together."""

import random

SITES = (
    "Harbour Weekly",
    "The Kiln Room",
    "Northgate Tools",
    "Blue Ladder",
    "Fernwood Outdoors",
    "Quillpost",
    "Tin Lantern",
    "Oakmere Homes",
)
PAGES = ("Home", "Shop", "Gallery", "Opening hours", "Careers", "Press", "Gift cards", "Stockists", "Journal", "Returns", "Sizing", "Help")
SENTENCES = (
    "{site} and its {n} partners store small files on your device to remember what you looked at",
    "Choose Accept all to continue, or open Settings to decide for each of our {n} partners",
    "You can withdraw your consent at any time at the bottom of every page of {site}",
    "Some of these files are needed for the basket to work and cannot be switched off",
    "Join {n} thousand readers and get our best stories in your inbox every {day}",
    "Enter your e-mail address below to receive {n} percent off your first order",
    "By pressing the button you agree to the terms of use and to the privacy statement of {site}",
    "No spam, ever. Leave the list whenever you like",
    "Orders placed before noon on {day} leave our warehouse the same day",
    "Free returns within {n} days, provided that labels are still attached",
    "Only {n} left in stock, and {m} people have this in their basket right now",
    "Customers who bought this also bought the following {n} articles",
    "You have {n} free articles left this month. Subscribe to keep reading {site}",
    "Already a member? Log in. Forgot your password? We will send you a link",
    "This page took too long to answer. Reload it, or come back in {n} minutes",
    "Your browser is out of date, so parts of this page may not be shown as intended",
    "Please switch on scripts in your browser and load the page again",
    "Share this story with your friends, print it, or save it for later",
    "{n} comments. Be the first to like this. Report abuse",
    "The opinions of our guests are their own and need not be those of {site}",
    "Copyright {year} {site}. Nothing on this page may be copied without our written consent",
    "Prices include value added tax where it applies and exclude delivery",
    "We may earn a commission if you buy through links on this page",
    "Photographs show serving suggestions. Colours may differ from screen to screen",
    "Call us on weekdays between nine and five, or write to the desk at {site}",
    "Next article. Previous article. Back to the top of the page",
    "Related topics that you may like, chosen for you by {site}",
    "Advertisement. The story goes on below",
    "This offer ends on {day} at midnight and cannot be combined with other vouchers",
    "Page {n} of {m}. Sort by price, by newest, or by popularity",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def page(rng: random.Random, least: int, most: int) -> str:
    """A bar of links, then sentences of one site in any order, at least `least` and about `most` characters at most."""
    site = rng.choice(SITES)
    parts = [" | ".join(rng.sample(PAGES, rng.randint(3, 6)))] if rng.random() < 0.5 else []
    for sentence in rng.sample(SENTENCES, len(SENTENCES)):
        if sum(map(len, parts)) >= rng.randint(least, most):
            break
        filled = sentence.format(
            site=site, n=rng.randint(2, 48), m=rng.randint(50, 400), day=rng.choice(_DAYS), year=rng.randint(2012, 2025)
        )
        parts.append(f"{filled}.")
    return " ".join(parts) if rng.random() < 0.5 else "\n".join(parts)
