"""What a probe remembers and what a job reported reach the worker that looks next."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("lease", sa.Column("gives", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "probe_memory",
        sa.Column("probe", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("probe", "location"),
    )
    op.create_table(
        "beat",
        sa.Column("probe", sa.String(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("probe"),
    )
