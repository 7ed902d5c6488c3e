"""The real programs pass; each of them with one thing made wrong is caught, by the right rule."""

from __future__ import annotations

import pytest

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.config import PackConfig, config_file, read_config
from moltghost.policy.findings import Violation
from moltghost.policy.pack import Pack
from tests.policies import parts, wall_parts
from tests.policies.cases import UNDECIDED
from tests.policies.declare import PRODUCTION_AGENT, PROJECT, declare_all, declared
from tests.policies.mutants import AGENT, AWS, MUTANTS, PLATFORM, Mutant
from tests.policies.write_mutants import with_known_secret


def _aws_program(opts: parts.Opts) -> None:
    """Every good AWS part, as one stack."""
    for part in (
        *(wall_parts.cluster_with_cni, wall_parts.admission_walls),
        *(parts.node_group, parts.launch_template, parts.node_pool),
        *(parts.node_class, parts.key, parts.bucket, parts.repository),
    ):
        part(opts)
    parts.access(opts, "AmazonEKSViewPolicy", "cluster")
    parts.security_group(opts, "10.0.0.0/8")
    parts.subnet(opts, public=False)
    parts.policy(opts, ["s3:GetObject"], "arn:aws:s3:::weights/*")
    parts.attachment(opts, "AmazonEKSWorkerNodePolicy")
    parts.pod_identities(opts, "agent-x")
    parts.log_group(opts, 30)
    parts.role(opts, ["get"], ["configmaps"])


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[AnalyzedResource]]:
    programs = {AWS: _aws_program}
    return {
        **declare_all(programs, tmp_path_factory.mktemp("aws")),
        AGENT: [with_known_secret(each) for each in declared(AGENT)],
        **{
            each.base: list(declared(each.base))
            for each in MUTANTS
            if each.base not in (AWS, AGENT)
        },
    }


def config_of(pack: Pack, base: str) -> PackConfig:
    """That of the environment that a stack is in."""
    environment = "local" if base == AWS else base.rpartition(".")[2]
    return read_config(config_file(PROJECT / "policies", environment), pack.policies)


@pytest.fixture(scope="session")
def originals(pack: Pack, bases: dict[str, list[AnalyzedResource]]) -> dict[str, set[Violation]]:
    """What the originals break already, which is only advisory."""
    return {
        name: set(pack.check(name, resources, config_of(pack, name)).violations)
        for name, resources in bases.items()
    }


@pytest.mark.parametrize("base", [AGENT, PLATFORM, AWS, "dev", PRODUCTION_AGENT])
def test_the_originals_break_no_mandatory_rule_and_nothing_is_undecided(
    pack: Pack, bases: dict[str, list[AnalyzedResource]], base: str
) -> None:
    findings = pack.check(base, bases[base], config_of(pack, base))
    assert findings.resources > 10
    assert findings.mandatory == ()
    assert findings.undecided == ()
    assert findings.exempted == ()
    assert {each.policy for each in findings.advisory} <= {"image-digest"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_of_the_real_programs_is_caught_by_its_rule(
    pack: Pack,
    bases: dict[str, list[AnalyzedResource]],
    originals: dict[str, set[Violation]],
    mutant: Mutant,
) -> None:
    config, before = config_of(pack, mutant.base), originals[mutant.base]
    after = pack.check(mutant.base, mutant.applied(bases[mutant.base]), config).violations
    new = [each for each in after if each not in before]
    assert mutant.rule in {each.policy for each in new}, [str(each) for each in new]


def test_every_rule_has_a_mutant_of_a_real_program(pack: Pack) -> None:
    """With the test above: no rule is silent over all mutants of the real programs."""
    mutated = {mutant.rule for mutant in MUTANTS if mutant.base != AWS}
    # No program of ours declares a PersistentVolume; the corpus has one.
    assert mutated | UNDECIDED | {"volume-no-node-folder"} == set(pack.policies)
