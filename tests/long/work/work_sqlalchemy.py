"""A session, and asynchronous servers that answer it."""

from __future__ import annotations

import asyncio

from aiohttp import web
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    """What all tables have."""


class Order(Base):
    """A row."""

    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


engine = create_engine("sqlite://", poolclass=StaticPool)
Base.metadata.create_all(engine)


async def answer() -> web.Response:
    """Make a response, after a few turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)
    return web.json_response({"ok": True})


def work(step: int) -> object:
    """Write a row, read some, run a loop."""
    with Session(engine) as session:
        session.add(Order(customer=f"customer {step % 97}"))
        session.commit()
        found = session.scalars(select(Order).where(Order.number > step - 20)).all()
    return len(found), asyncio.run(answer()).status
