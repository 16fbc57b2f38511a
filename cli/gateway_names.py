"""Providers as commands name them."""

from __future__ import annotations

from typing import Annotated

import typer


def known(gateway: str) -> str:
    """The same, if it is a provider's name. Raises typer.BadParameter."""
    from agreements.catalog import GATEWAYS

    if gateway not in GATEWAYS:
        raise typer.BadParameter(f"must be one of: {', '.join(GATEWAYS)}")
    return gateway


Gateway = Annotated[str, typer.Argument(help="The provider: antom, ottu or pivot.", callback=known)]
