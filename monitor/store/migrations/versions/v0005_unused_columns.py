"""Drop columns that nothing reads: what was told is known from the timeline, the order from the catalogue in force."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_column("upstream", "said")
    op.drop_column("component", "position")
    op.drop_column("incident", "review_us")
