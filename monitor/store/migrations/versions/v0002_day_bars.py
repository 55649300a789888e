"""Tell when a component's closed days changed, so that readers may keep them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("component", sa.Column("days_revision", sa.BigInteger(), nullable=False, server_default="0"))
    # Each row must be there before two workers want to lock it.
    for name in ("minute", "hour", "day", "latency"):
        op.execute(
            f"INSERT INTO mark (name, value) SELECT '{name}', 0 "  # noqa: S608 - the four words above
            f"WHERE NOT EXISTS (SELECT 1 FROM mark WHERE name = '{name}')"
        )
