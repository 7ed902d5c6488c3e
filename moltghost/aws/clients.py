"""boto3 clients: typed, made once, with timeouts that a person can wait for.

Credentials come from the usual chain (environment, SSO, profile, role). A missing profile or
credentials are errors of the first call, not of the construction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from moltghost.aws.facts import home_region
from moltghost.aws.reachability import address, knock

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_eks import EKSClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# The Pricing API answers in few regions only; us-east-1 knows the prices of all.
PRICING_REGION = "us-east-1"

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent_extra="moltghost",
)


def _new_session() -> boto3.Session:
    # It takes long to load, and commands that may ask AWS mostly don't.
    import boto3

    return boto3.Session()


class Clients:
    """Clients of one region, shared by threads.

    Args:
        region: where the environment is.
        session: makes the session at the first call; a test gives its own.
        config: timeouts and retries.
        knock: asks whether something answers at a URL; a test gives its own.
    """

    def __init__(
        self,
        region: str,
        *,
        session: Callable[[], boto3.Session] = _new_session,
        config: Config = _CONFIG,
        knock: Callable[[str], None] = knock,
    ) -> None:
        self.region = region
        self.knock = knock
        self._new_session = session
        self._config = config
        self._session: boto3.Session | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        # Making a client is not thread-safe in boto3; using one is.
        self._lock = threading.Lock()

    def _client(self, service: str, region: str = "") -> Any:
        where = region or self.region
        with self._lock:
            if self._session is None:
                self._session = self._new_session()
            if (service, where) not in self._clients:
                create: Callable[..., Any] = self._session.client
                self._clients[service, where] = create(
                    service, region_name=where, config=self._config
                )
            return self._clients[service, where]

    @property
    def home_region(self) -> str:
        """A region of the same partition that every account has."""
        with self._lock:
            if self._session is None:
                self._session = self._new_session()
            return home_region(self._session.get_partition_for_region(self.region))

    def address(self, service: str) -> str:
        """URL that calls of a service go to from here, by boto3's name of it; see `knock`."""
        return address(self._client(service, PRICING_REGION if service == "pricing" else ""))

    def ec2(self) -> EC2Client:
        """EC2 in the region."""
        client: EC2Client = self._client("ec2")
        return client

    def ec2_at_home(self) -> EC2Client:
        """EC2 in the home region: answers even if the environment's region is switched off."""
        client: EC2Client = self._client("ec2", self.home_region)
        return client

    def sts_at_home(self) -> STSClient:
        """STS in the home region."""
        client: STSClient = self._client("sts", self.home_region)
        return client

    def ecr(self, region: str = "") -> ECRClient:
        """ECR in the region, or in another one."""
        client: ECRClient = self._client("ecr", region)
        return client

    def eks(self) -> EKSClient:
        """EKS in the region."""
        client: EKSClient = self._client("eks")
        return client

    def iam(self) -> Any:  # two calls, which don't pay for the types of all its others
        """IAM, which has no region."""
        return self._client("iam")

    def kms(self) -> KMSClient:
        """KMS in the region."""
        client: KMSClient = self._client("kms")
        return client

    def s3(self) -> S3Client:
        """S3 in the region."""
        client: S3Client = self._client("s3")
        return client

    def service_quotas(self) -> ServiceQuotasClient:
        """Service Quotas in the region."""
        client: ServiceQuotasClient = self._client("service-quotas")
        return client

    def ssm(self) -> SSMClient:
        """Systems Manager in the region."""
        client: SSMClient = self._client("ssm")
        return client

    def pricing(self) -> PricingClient:
        """The Pricing API."""
        client: PricingClient = self._client("pricing", PRICING_REGION)
        return client
