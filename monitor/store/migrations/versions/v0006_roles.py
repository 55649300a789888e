"""An account has a role: whoever has one today may act, as until now."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("account", sa.Column("role", sa.String(), nullable=False, server_default="responder"))
