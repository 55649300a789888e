"""Keep beside a component what is slower than usual for the hour of the week."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("component", sa.Column("unusual", sa.Text(), nullable=False, server_default=""))
    # The row must be there before two workers want to lock it.
    op.execute(
        "INSERT INTO mark (name, value) SELECT 'usual', 0 WHERE NOT EXISTS (SELECT 1 FROM mark WHERE name = 'usual')"
    )
