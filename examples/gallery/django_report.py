"""Django: a view that loads every row as an object, for a sum that the database could make.

Question: the worker grows by hundreds of megabytes for one page; where?
"""

from __future__ import annotations

import django
from django.conf import settings
from django.db import connection, models

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[],
)
django.setup()


class Order(models.Model):
    """A row of the database."""

    customer = models.CharField(max_length=100)
    amount = models.IntegerField()

    class Meta:
        app_label = "shop"


def fill(rows: int) -> None:
    """Make the table."""
    with connection.schema_editor() as editor:
        editor.create_model(Order)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO shop_order (customer, amount) VALUES (%s, %s)",
            [(f"customer {row % 997}", row % 50) for row in range(rows)],
        )


def report() -> int:
    """Add up all orders, one object for each. Order.objects.aggregate(Sum("amount")) needs none."""
    orders = list(Order.objects.all())
    return sum(order.amount for order in orders)


fill(50_000)
print(report())
