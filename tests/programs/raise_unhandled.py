"""Die of an exception that was caused by another, several calls deep."""


class Trouble(Exception):
    def __str__(self):
        return "mëssage of its own\nin two lines"


def inner(values):
    return {value: 1 / value for value in values}


def outer():
    try:
        inner([2, 1, 0])
    except ZeroDivisionError as error:
        raise Trouble from error


print("before")
outer()
