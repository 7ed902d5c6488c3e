"""A project with an environment on AWS and an agent in it, in a folder of the test's."""

from __future__ import annotations

from pathlib import Path

from tests.aws.simulated import ACCOUNT, REGION

CLOUD = f"""
config:
  moltghost:spec:
    kind: cloud
    provider: aws
    account_id: "{ACCOUNT}"
    region: {REGION}
    zone_ids: [use1-az2, use1-az4]
    admins: ["arn:aws:iam::{ACCOUNT}:role/admin"]
    monthly_ceiling_usd: 60000
"""
PLATFORM = """
config:
  moltghost:spec:
    kind: platform
    pools:
      l40s: { max_nodes: 2, instance_types: [g6e.2xlarge] }
      h100: { max_nodes: 3, instance_types: [p5.4xlarge] }
      cpu: { max_nodes: 3, instance_types: [m7i.large] }
"""
AGENT = """
config:
  moltghost:spec:
    kind: agent
    owner: team-a
    model: llama3.1-70b-q4
    context: 32k
    gpu: h100
"""
RESERVED = """
    reservations:
      - { id: cr-0123456789abcdef0, kind: on-demand, instance_type: p5.4xlarge,
          zone_id: use1-az2, count: 2 }
"""
BLOCK = """
    reservations:
      - { id: cr-0123456789abcdef0, kind: capacity-block, instance_type: p5.4xlarge,
          zone_id: use1-az2, count: 2, ends: 2030-01-31T11:30:00Z }
    fixed_groups:
      block: { pool: h100, instance_type: p5.4xlarge, nodes: 2, zone_id: use1-az2,
               release_version: 1.36.2-20260818, reservation: cr-0123456789abcdef0 }
"""


def project(folder: Path, more: str = "") -> Path:
    """Write the project; ``more`` is added to the cloud's spec."""
    (folder / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
    (folder / "Pulumi.prod.yaml").write_text(CLOUD + more)
    (folder / "Pulumi.platform.prod.yaml").write_text(PLATFORM)
    (folder / "Pulumi.my-agent.prod.yaml").write_text(AGENT)
    return folder
