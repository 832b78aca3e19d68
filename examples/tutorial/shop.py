"""A shop that prices baskets, and grows and grows."""

CENTS_A_LETTER = 25
priced = {}


def price(basket):
    """The sum of a basket; nothing is added up twice."""
    key = tuple(basket)
    if key not in priced:
        priced[key] = CENTS_A_LETTER * sum(map(len, basket))
    return priced[key]


def customer(number):
    """Somebody who fills a basket and pays."""
    basket = []
    for article in range(20):
        basket.append(f"article {number * 7 + article}")
    return price(basket)


turnover = sum(map(customer, range(40_000)))
print(f"40000 customers paid {turnover / 100:.2f}")
