"""Credentials of an account's container registry (ECR)."""

from __future__ import annotations

import base64

from botocore.exceptions import BotoCoreError, ClientError

from moltghost.aws.clients import Clients
from moltghost.errors import Refused


def credentials(clients: Clients, account_id: str) -> tuple[str, str]:
    """User and password of the registry; the password is valid for twelve hours.

    Args:
        clients: of the registry's region.
        account_id: whose registry it must be.

    Raises:
        Refused: AWS gives none, or the credentials at hand are another account's.
    """
    try:
        [found] = clients.ecr().get_authorization_token()["authorizationData"]
    except (BotoCoreError, ClientError) as error:
        raise Refused(
            f"AWS refuses access to the registry of account {account_id}: {error}",
            "log in to that account (aws sts get-caller-identity shows which one you are in); "
            "ecr:GetAuthorizationToken is needed",
        ) from error
    if f"{account_id}.dkr.ecr." not in found.get("proxyEndpoint", ""):
        raise Refused(
            f"these credentials belong to the registry {found.get('proxyEndpoint', '')}, not to "
            f"account {account_id}",
            "log in to the environment's account",
        )
    user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    return user, password
