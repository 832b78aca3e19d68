"""A shop that prices baskets, without the cache that kept every one of them."""

CENTS_A_LETTER = 25


def price(basket):
    """The sum of a basket."""
    return CENTS_A_LETTER * sum(map(len, basket))


def customer(number):
    """Somebody who fills a basket and pays."""
    basket = []
    for article in range(20):
        basket.append(f"article {number * 7 + article}")
    return price(basket)


turnover = sum(map(customer, range(40_000)))
print(f"40000 customers paid {turnover / 100:.2f}")
