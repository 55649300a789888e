"""Keep httpx's command line out: it would bring rich and pygments along, ten megabytes in every process."""

import sys

# None makes the import fail, which httpx expects: its command line is an extra.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # Python documents None, typeshed does not
