from __future__ import annotations

import pytest

from moltghost.config import read_agent, stack_file
from moltghost.errors import Failed, Refused
from moltghost.lifecycle.agents.stack_files import pending_file, write_pending
from tests.cli.command import Command
from tests.examples import STACK, agent_spec
from tests.kube.clusters import FakeCluster, deployment, node_pool, pod, ready_pod
from tests.lifecycle.projects import FakeEngine, files

NEW = ("deploy", "new", "--model", "llama3.1-8b-q4", "--context", "32k")
UPDATE = ("agent", "update", "my-agent", "--model", "qwen2.5-72b-q4")
SCALE = ("agent", "scale", "my-agent", "--gpu", "h100", "--memory", "160gb")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ("deploy", "new"),
            "agent new is new: it needs a model",
            "moltghost deploy new --model qwen3.6-27b-q4_K_M --context 64k  # 1 x h100, $6.88/h",
        ),
        (
            ("deploy", "new", "--gpu", "l40s", "--within", "2"),
            "agent new is new: it needs a model",
            "--model gpt-oss-20b-mxfp4 --context 64k --gpu l40s  # 1 x l40s, $1.86/h",
        ),
        (
            ("deploy", "new", "--gpu", "l40s", "--within", "1"),
            "no recommended one fits on one l40s of local for $1.00 an hour",
            "moltghost models --within USD",
        ),
        (
            ("deploy", "new", "--gpu", "none"),
            "what is recommended needs a GPU",
            "moltghost deploy new --gpu none --model gemma3-270m-q4",
        ),
        (
            ("deploy", "new", "--model", "llama3.1-8b-q4", "--within", "2"),
            "--within is for the proposal of a new agent's model",
            "moltghost size MODEL",
        ),
        (
            ("deploy", "my-agent", "--within", "2"),
            "--within is for the proposal of a new agent's model",
            "leave --within out",
        ),
        (("deploy", "new", "--within", "cheap"), "'cheap' isn't a price", "dollars per hour"),
        (
            ("deploy", "new", "--model", "llama9-70b"),
            "there is no model 'llama9-70b' in the catalogue; nearest:",
            "moltghost models",
        ),
        (
            ("deploy", "new", "--model", "llama3.1-8b-q4", "--context", "1m"),
            "a context of at most 131072 tokens, 1048576 were asked for",
            "--context 128k or less",
        ),
        (
            ("deploy", "new", "--model", "llama3.1-405b-f16"),
            "fits no pool",
            "what would fit",
        ),
        (("deploy", "New", "--model", "llama3.1-8b-q4"), "agent name 'New' is not", "my-agent"),
        (("deploy", "platform", "--model", "x"), "no agent may be called 'platform'", "own stack"),
        (
            ("deploy", "new", "--model", "llama3.1-8b-q4", "--env", "prod"),
            "Pulumi.prod.yaml isn't there",
            "",
        ),
        (("agent", "update", "nobody", "--context", "64k"), "there is no agent nobody", "deploy"),
        (("agent", "scale", "my-agent"), "nothing to scale to", "--gpu, --memory or --parallel"),
        (("agent", "destroy", "my-agent"), "isn't deployed: only its config is there", "delete"),
        (("agent", "destroy", "nobody"), "there is no agent nobody", "moltghost deploy nobody"),
        (NEW, "the cluster of environment local isn't running", "moltghost up local"),
        (("agent", "list"), "the cluster of environment local isn't running", "moltghost up"),
        (("agent", "status", "my-agent"), "isn't running", "moltghost up local"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_refusal_says_why_and_changes_nothing(
    arguments: tuple[str, ...], message: str, hint: str, moltghost: Command, engine: FakeEngine
) -> None:
    before = files(moltghost.project)
    ran = moltghost(*arguments)
    assert ran.code == 2
    assert message in ran.err
    assert hint in ran.err.partition("hint: ")[2]
    assert files(moltghost.project) == before
    assert engine.ups == []


def test_a_broken_stack_file_is_refused_with_its_line(moltghost: Command) -> None:
    stack_file(moltghost.project, STACK).write_text("config:\n\t- x\n", encoding="utf-8")
    ran = moltghost(*UPDATE)
    assert ran.code == 2
    assert "Pulumi.my-agent.local.yaml line 2 is not valid YAML" in ran.err


@pytest.mark.parametrize("arguments", [NEW, UPDATE, SCALE], ids=" ".join)
def test_without_a_terminal_nothing_is_done_unasked(
    arguments: tuple[str, ...], moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    before = files(moltghost.project)
    ran = moltghost(*arguments)
    assert ran.code == 2
    assert "can't ask for confirmation: not a terminal" in ran.err
    assert "add --yes" in ran.err
    assert engine.ups == []
    assert files(moltghost.project) == before


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False)])
def test_on_a_terminal_it_asks_after_the_plan_was_shown(
    answer: str,
    done: bool,
    moltghost: Command,
    engine: FakeEngine,
    deployed: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer == "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("moltghost.cli.options.click.confirm", confirm)
    monkeypatch.setattr("moltghost.cli.views.progress.Progress.__enter__", lambda self: self)
    ran = moltghost(*UPDATE)
    assert asked == ["Update my-agent in local?"]
    assert "6.88 $/h" in ran.out
    assert (ran.code, bool(engine.ups)) == ((0, True) if done else (2, False))
    if not done:
        assert "cancelled; nothing was changed" in ran.err


def test_a_deploy_shows_the_plan_with_its_price_and_what_is_simulated(
    moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    cluster.items += [deployment("new"), ready_pod(agent="new")]
    shown = moltghost(*NEW).out
    for text in (
        "new in local, owner",
        "llama3.1-8b",
        "Q4_K_M",
        "32k",
        "1 x l40s",
        "g6e.xlarge (simulated)",
        "1.86 $/h for the node",
        "nothing is charged",
    ):
        assert text in shown


def test_on_a_terminal_a_new_agents_model_is_chosen_from_the_recommended_ones(
    moltghost: Command,
    engine: FakeEngine,
    cluster: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.items += [deployment("new"), ready_pod(agent="new")]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("moltghost.cli.proposal.click.prompt", lambda *_, **_options: 3)
    monkeypatch.setattr("moltghost.cli.options.click.confirm", lambda *_, **_options: True)
    monkeypatch.setattr("moltghost.cli.views.progress.Progress.__enter__", lambda self: self)
    ran = moltghost("deploy", "new", "--owner", "me")
    assert ran.code == 0, ran.err
    assert "1 x h100, $6.88/h" in ran.out
    [spec] = [spec for spec in engine.ups if spec]
    assert (spec.model, spec.context) == ("gpt-oss-20b-mxfp4", 65536)


def test_a_deploy_writes_the_agents_config_when_it_is_done(
    moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    def appears(_number: int) -> None:
        cluster.items += [deployment("my-new"), ready_pod(agent="my-new")]

    engine.on_up = appears
    ran = moltghost("deploy", "my-new", "--model", "Llama3.1-8B-Q4", "--owner", "me", "--yes")
    assert ran.code == 0
    [spec] = [spec for spec in engine.ups if spec]
    assert (spec.owner, spec.context) == ("me", 32768)
    assert "Pulumi.my-new.local.yaml" in files(moltghost.project)
    assert "my-new" in ran.out


def test_an_owner_that_is_not_given_is_the_user(
    moltghost: Command,
    engine: FakeEngine,
    cluster: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Jane.Doe")
    shown = moltghost(*NEW).out
    assert "owner jane-doe" in shown


def test_an_update_in_json_prints_the_agent_and_nothing_else(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    ran = moltghost(*UPDATE, "--yes", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.data["agent"] == "my-agent"
    assert ran.data["seconds"] == 1.2
    assert set(ran.data["node"]) == {"name", "instance_type", "simulated"}
    assert read_agent(moltghost.project, STACK).model == "qwen2.5-72b-q4"


def test_an_update_says_what_restarts_and_what_the_surge_costs(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    shown = moltghost(*UPDATE).out
    assert "llama3.1-70b Q4_K_M -> qwen2.5-72b Q4_K_S" in shown
    assert "the runtime keeps running" in shown
    assert "1 more p5.4xlarge in pool h100 while both run: 6.88 $/h" in shown


def test_scaling_shows_what_the_node_leaves_idle(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    shown = moltghost(*SCALE).out
    assert "2 x h100, 6 GPUs idle" in shown
    assert "p5.48xlarge" in shown
    assert "55.04 $/h for the node" in shown


def test_a_full_pool_is_refused_before_anything_is_asked(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    deployed.items = [item for item in deployed.items if item["kind"] != "NodePool"]
    deployed.items += [node_pool("h100", 1, 1), node_pool("cpu")]
    ran = moltghost(*UPDATE)
    assert ran.code == 2
    assert "pool h100 of environment local is full" in ran.err
    assert "--strategy in-place" in ran.err
    assert engine.ups == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(Refused("locked by process 4711", "wait"), 2), (Failed("never ready", "look"), 1)],
)
def test_what_the_engine_says_is_the_exit_code(
    error: Exception, code: int, moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    def fail(number: int) -> None:
        if number == 1:
            raise error

    engine.on_up = fail
    before = files(moltghost.project)
    ran = moltghost(*UPDATE, "--yes")
    assert ran.code == code
    assert str(error.args[0]) in ran.err
    assert files(moltghost.project) == before


def test_a_change_to_what_is_already_so_changes_nothing(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    ran = moltghost("agent", "update", "my-agent", "--context", "32k", "--yes")
    assert ran.code == 0
    assert "nothing to change" in ran.out
    assert engine.ups == [read_agent(moltghost.project, STACK)]


def test_an_interrupted_change_is_named_and_taken_up_by_up(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    write_pending(moltghost.project, STACK, agent_spec(model="qwen2.5-72b-q4"))
    ran = moltghost("up", "my-agent.local", "--yes")
    assert ran.code == 0
    assert "an earlier change of this agent was interrupted" in ran.out
    assert read_agent(moltghost.project, STACK).model == "qwen2.5-72b-q4"
    assert not pending_file(moltghost.project, STACK).exists()


def test_up_tries_a_first_deploy_again_that_has_failed(
    moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    def fail_once(number: int) -> None:
        if number == 1:
            # It is in the cluster by then, but never becomes ready.
            cluster.items += [deployment(), pod(unschedulable="no room")]
            raise Failed("the model server isn't ready after 20 min")

    engine.on_up = fail_once
    assert moltghost("up", "my-agent.local", "--yes").code == 1
    assert moltghost("up", "my-agent.local", "--yes").code == 0
    assert len(engine.ups) == 2


def edit_by_hand(moltghost: Command) -> dict[str, str]:
    """Another model in the stack's file; returns the project's files then."""
    file = stack_file(moltghost.project, STACK)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("llama3.1-70b-q4", "qwen2.5-72b-q4"), encoding="utf-8")
    return files(moltghost.project)


def test_up_carries_out_what_was_written_into_the_config_by_hand(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    edit_by_hand(moltghost)
    ran = moltghost("up", "my-agent.local", "--yes")
    assert ran.code == 0
    assert "llama3.1-70b Q4_K_M -> qwen2.5-72b Q4_K_S" in ran.out
    assert "1 more p5.4xlarge in pool h100 while both run: 6.88 $/h" in ran.out
    [spec] = [spec for spec in engine.ups if spec]
    assert (spec.model, spec.previous) == ("qwen2.5-72b-q4", agent_spec().model_part)
    assert read_agent(moltghost.project, STACK) == spec


def test_up_of_an_edit_by_hand_is_refused_where_its_surge_has_no_room(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    before = edit_by_hand(moltghost)
    deployed.items = [item for item in deployed.items if item["kind"] != "NodePool"]
    deployed.items += [node_pool("h100", 1, 1), node_pool("cpu")]
    ran = moltghost("up", "my-agent.local", "--yes")
    assert ran.code == 2
    assert "the update's surge needs 1 more p5.4xlarge" in ran.err
    assert (engine.ups, files(moltghost.project)) == ([], before)


def test_an_edit_by_hand_that_fails_is_taken_back_and_stays_in_the_file(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    def fail_once(number: int) -> None:
        if number == 1:
            raise Failed("the model server isn't ready after 20 min")

    engine.on_up = fail_once
    before = edit_by_hand(moltghost)
    ran = moltghost("up", "my-agent.local", "--yes")
    assert ran.code == 1
    assert "The change was taken back: llama3.1-70b-q4 serves as before" in ran.err
    assert [spec.model for spec in engine.ups if spec] == ["qwen2.5-72b-q4", "llama3.1-70b-q4"]
    assert files(moltghost.project) == before


def test_an_interrupted_change_that_the_cluster_already_has_is_waited_for_again(
    moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    new = agent_spec(model="qwen2.5-72b-q4").model_copy(
        update={"previous": agent_spec().model_part}
    )
    write_pending(moltghost.project, STACK, new)
    deployed.items = [item for item in deployed.items if item["kind"] != "Deployment"]
    deployed.items.append(deployment(spec=new))
    ran = moltghost("up", "my-agent.local", "--yes")
    assert ran.code == 0
    assert "an earlier change of this agent was interrupted" in ran.out
    assert engine.ups == [new]
    assert read_agent(moltghost.project, STACK) == new
    assert not pending_file(moltghost.project, STACK).exists()


def test_an_agent_that_another_version_applied_is_refused_with_the_ways_out(
    moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    foreign = deployment()
    foreign["metadata"]["annotations"]["moltghost.dev/spec"] = '{"kind": "agent", "v": 2}'
    cluster.items += [foreign, ready_pod()]
    before = files(moltghost.project)
    for arguments in UPDATE, SCALE, ("up", "my-agent.local"):
        ran = moltghost(*arguments, "--yes")
        assert ran.code == 2
        assert "annotation moltghost.dev/spec of Deployment model-server" in ran.err
        assert "moltghost agent destroy my-agent, then moltghost up my-agent.local" in ran.err
    assert (engine.ups, files(moltghost.project)) == ([], before)
    # Looking needs no config.
    assert moltghost("agent", "status", "my-agent").code == 0


def test_a_first_deploy_without_room_for_its_runtime_is_refused(
    moltghost: Command, engine: FakeEngine, cluster: FakeCluster
) -> None:
    cluster.items = [node_pool("l40s", 4, 0), node_pool("cpu", 1, 1)]
    ran = moltghost(*NEW, "--yes")
    assert ran.code == 2
    assert "pool cpu of environment local is full: the runtime needs 500m CPU" in ran.err
    assert engine.ups == []


def test_agents_are_listed_as_the_cluster_has_them(
    moltghost: Command, deployed: FakeCluster
) -> None:
    deployed.items += [deployment("other"), pod(agent="other", unschedulable="no room")]
    ran = moltghost("agent", "list")
    assert ran.code == 0
    [mine] = [line for line in ran.out.splitlines() if "my-agent" in line]
    for text in ("llama3.1-70b Q4_K_M", "32k", "ready", "yes", "simulated", "p5.4xlarge", "6.88"):
        assert text in mine
    data = moltghost("agent", "list", "--json").data
    assert [(each["agent"], each["stage"]) for each in data] == [
        ("my-agent", "ready"),
        ("other", "scheduling"),
    ]


def test_an_environment_without_agents_says_how_to_make_one(
    moltghost: Command, cluster: FakeCluster
) -> None:
    assert "no agents in local; moltghost deploy NAME" in moltghost("agent", "list").out
    assert moltghost("agent", "list", "--json").data == []


def test_status_says_why_an_agent_is_not_further(moltghost: Command, cluster: FakeCluster) -> None:
    cluster.items += [deployment(), pod(unschedulable="3 Insufficient nvidia.com/gpu")]
    ran = moltghost("agent", "status", "my-agent")
    assert ran.code == 0
    assert "stage        scheduling" in ran.out
    assert "reason       3 Insufficient nvidia.com/gpu" in ran.out
    assert "node         none yet" in ran.out


def test_status_of_an_agent_that_is_not_there_is_refused(
    moltghost: Command, cluster: FakeCluster
) -> None:
    ran = moltghost("agent", "status", "nobody")
    assert ran.code == 2
    assert "there is no agent nobody in local" in ran.err


@pytest.mark.parametrize("flag", [(), ("--delete-data",)])
def test_destroy_says_what_stays(
    flag: tuple[str, ...], moltghost: Command, engine: FakeEngine, deployed: FakeCluster
) -> None:
    ran = moltghost("agent", "destroy", "my-agent", "--yes", *flag)
    assert ran.code == 0
    assert engine.destroyed == [("my-agent.local", "delete" if flag else "keep")]
    assert ("namespace agent-my-agent and its volume stay" in ran.out) == (not flag)
    assert stack_file(moltghost.project, STACK).is_file()


def test_a_second_destroy_says_that_only_the_data_is_left(
    moltghost: Command, deployed: FakeCluster
) -> None:
    moltghost("agent", "destroy", "my-agent", "--yes")
    ran = moltghost("agent", "destroy", "my-agent", "--yes")
    assert ran.code == 0
    assert "was destroyed before; --delete-data removes namespace and volume" in ran.out


def test_destroy_without_a_terminal_and_yes_is_refused(
    moltghost: Command, engine: FakeEngine
) -> None:
    engine.known.append("my-agent.local")
    ran = moltghost("agent", "destroy", "my-agent", "--delete-data")
    assert ran.code == 2
    assert "add --yes" in ran.err
    assert engine.destroyed == []


def test_the_environment_can_come_from_the_users_settings(
    moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLTGHOST_ENV", "prod")
    ran = moltghost(*NEW)
    assert ran.code == 2
    assert "Pulumi.prod.yaml isn't there" in ran.err
