"""SQLAlchemy: an import that makes an object of every row and commits once, at the end.

Question: where is the memory when the import has most?
"""

from __future__ import annotations

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class Article(Base):
    """A row of the database."""

    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))


def load(session: Session, rows: int) -> None:
    """Add row after row. session.execute(insert(Article), [...]) would make no objects."""
    for row in range(rows):
        session.add(Article(id=row, title=f"Article number {row}"))
    session.commit()


engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
with Session(engine) as session:
    load(session, 10_000)
