"""How Alembic finds the database and the tables of the program."""

from alembic import context
from books import DATABASE, Table
from sqlalchemy import create_engine, pool

engine = create_engine(DATABASE, poolclass=pool.NullPool)
with engine.connect() as connection:
    # SQLite cannot change most of a table: Alembic makes a new one and copies (`render_as_batch`).
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
