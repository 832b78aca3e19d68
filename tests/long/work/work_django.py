"""Queries, templates, and the modules that they pull in when they are first used."""

from __future__ import annotations

import django
from django.conf import settings
from django.db import connection, models

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
)
django.setup()

from django.template import Context, Template  # noqa: E402


class Order(models.Model):
    """A row."""

    customer = models.CharField(max_length=100)
    amount = models.IntegerField()

    class Meta:
        """Where it belongs."""

        app_label = "shop"


with connection.schema_editor() as editor:
    editor.create_model(Order)


def work(step: int) -> object:
    """Write rows, read some, show them."""
    Order.objects.create(customer=f"customer {step % 97}", amount=step)
    some = Order.objects.filter(amount__lt=100).exclude(customer="x").order_by("-amount")[:50]
    page = "{% for order in some %}{{ order.customer|upper }}: {{ order.amount }}{% endfor %}"
    return len(Template(page).render(Context({"some": some})))
