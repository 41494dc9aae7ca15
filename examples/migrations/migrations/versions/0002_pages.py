"""How many pages a book has. The program of before goes on: the database fills the column."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("book") as book:
        book.add_column(sa.Column("pages", sa.Integer, nullable=False, server_default="0"))


def downgrade():
    with op.batch_alter_table("book") as book:
        book.drop_column("pages")
