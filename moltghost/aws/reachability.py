"""Whether something answers where boto3 would send a call, without calling anything."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

# AWS answers within a second; for the connection, and again for the answer.
_SECONDS = 5
_READS = ("Describe", "Get", "List")
# What a read of a service may ask for at least; Budgets has none that asks for less.
_PARAMETERS = {"AccountId": "0" * 12}


def address(client: Any) -> str:
    """Scheme and host that a boto3 client sends its calls to. Nothing is sent.

    They depend on region, partition and settings such as AWS_USE_FIPS_ENDPOINT. The client's
    ``meta.endpoint_url`` comes from an older table of botocore, which has hosts that aren't there
    in FIPS mode (s3-fips.aws-global.amazonaws.com), so this is taken off a signed URL.

    Args:
        client: a client of boto3, with credentials.

    Raises:
        BotoCoreError: there is no such endpoint, or there are no credentials.
    """
    model = client.meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        needs = list(shape.required_members) if shape else []
        if name.startswith(_READS) and set(needs) <= set(_PARAMETERS):
            signed = client.generate_presigned_url(
                xform_name(name), Params={each: _PARAMETERS[each] for each in needs}
            )
            url = urlsplit(signed)
            return f"{url.scheme}://{url.netloc}"
    raise LookupError(f"no read of {model.service_name} can do without parameters")


def knock(url: str) -> None:
    """Resolve the name, connect, agree on TLS, and take any answer to a HEAD without signature.

    The way is that of boto3's calls: by the proxies (HTTPS_PROXY, NO_PROXY) and with the
    certificates (AWS_CA_BUNDLE or a profile's, REQUESTS_CA_BUNDLE) that it takes.

    Raises:
        BotoCoreError: nothing answered; a subclass of it says how.
    """
    bundle = botocore.session.get_session().get_config_variable("ca_bundle")
    verify: Any = bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True
    session = URLLib3Session(verify=verify, proxies=get_environ_proxies(url), timeout=_SECONDS)
    try:
        session.send(AWSRequest(method="HEAD", url=url).prepare())
    finally:
        session.close()
