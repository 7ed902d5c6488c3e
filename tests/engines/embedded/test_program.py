"""Programs that need no cluster: how they are run, and how their errors read."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import Op, Preview, Result
from moltghost.errors import ExitCode, Failed, MoltghostError, Refused
from moltghost.progress import Event, silent
from tests.engines.harness import ops


class Inline:
    """A project whose program is given as text."""

    def __init__(self, folder: Path) -> None:
        (folder / "Pulumi.yaml").write_text("name: moltghost\nruntime: python\n")
        self.folder = folder
        self.engine: EmbeddedEngine = EmbeddedEngine(
            folder, state=folder / "stacks", key=folder / "key"
        )

    def write(self, program: str, stack: str = "a.local") -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(program))
        path = self.folder / f"Pulumi.{stack}.yaml"
        if not path.exists():
            path.write_text("config: {}\n")

    def preview(self, program: str, stack: str = "a.local") -> Preview:
        self.write(program, stack)
        return self.engine.preview(stack, report=silent)

    def up(self, program: str, stack: str = "a.local") -> Result:
        self.write(program, stack)
        return self.engine.up(stack, report=silent)


@pytest.fixture
def inline(tmp_path: Path) -> Inline:
    return Inline(tmp_path)


RANDOM = """
    import pulumi, pulumi_random as random
    text = random.RandomPassword("text", length={length}, special=False, min_numeric=2)
    data = random.RandomBytes("data", length=16)
    pulumi.export("text", text.result)
    pulumi.export("size", text.result.apply(len))
    pulumi.export("hex", data.hex)
    pulumi.export("id", random.RandomId("id", byte_length=4).hex)
    pulumi.export("name", random.RandomString("name", length=8, special=False).result)
"""


def test_random_values_are_unknown_in_a_preview_and_stay_after_an_up(inline: Inline) -> None:
    preview = inline.preview(RANDOM.format(length=20))
    assert preview.outputs["text"] == "[unknown]"

    inline.up(RANDOM.format(length=20))
    first = inline.engine.outputs("a.local", show_secrets=True)
    again = inline.up(RANDOM.format(length=20))

    assert set(ops(again).values()) == {Op.SAME}
    assert inline.engine.outputs("a.local", show_secrets=True) == first
    assert len(first["text"]) == first["size"] == 20
    assert sum(letter.isdigit() for letter in first["text"]) >= 2
    assert len(bytes.fromhex(first["hex"])) == 16
    assert len(first["id"]) == 8
    assert first["name"].isalnum()
    shown = inline.engine.outputs("a.local")
    assert (shown["text"], shown["size"], shown["name"]) == ("[secret]", "[secret]", first["name"])


def test_changed_arguments_make_a_new_value_and_the_preview_says_so(inline: Inline) -> None:
    inline.up(RANDOM.format(length=20))
    before = inline.engine.outputs("a.local", show_secrets=True)

    preview = inline.preview(RANDOM.format(length=30))
    inline.up(RANDOM.format(length=30))

    step = next(step for step in preview.steps if step.name == "text")
    assert (step.op, step.note) == (Op.REPLACE, "a new value is generated")
    assert [(change.path, change.before, change.after) for change in step.diff] == [
        ("length", 20, 30)
    ]
    after = inline.engine.outputs("a.local", show_secrets=True)
    assert len(after["text"]) == 30
    assert after["hex"] == before["hex"]


def test_stacks_run_one_after_another_without_meeting(inline: Inline) -> None:
    program = """
        import pulumi
        import helper
        pulumi.export("stack", pulumi.get_stack())
        pulumi.export("runs", helper.runs)
    """
    (inline.folder / "helper.py").write_text("import pulumi\nruns = pulumi.get_stack()\n")

    for stack in ("a.local", "b.local", "a.local"):
        assert inline.up(program, stack).outputs == {"stack": stack, "runs": stack}

    assert [summary.name for summary in inline.engine.stacks()] == ["a.local", "b.local"]
    assert "helper" not in sys.modules
    assert str(inline.folder) not in sys.path


def test_a_component_holds_what_is_in_it(inline: Inline) -> None:
    result = inline.up("""
        import pulumi, pulumi_random as random

        class Pair(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("test:index:Pair", name)
                child = pulumi.ResourceOptions(parent=self)
                self.one = random.RandomBytes(f"{name}-one", length=4, opts=child)
                self.register_outputs({"hex": self.one.hex})

        Pair("pair")
    """)

    urns = [step.urn for step in result.steps]
    prefix = "urn:pulumi:a.local::moltghost::"
    assert f"{prefix}test:index:Pair::pair" in urns
    assert f"{prefix}test:index:Pair$random:index/randomBytes:RandomBytes::pair-one" in urns
    assert result.counts() == {Op.CREATE: 1}


def test_additional_secret_outputs_are_secret(inline: Inline) -> None:
    inline.up("""
        import pulumi, pulumi_random as random
        opts = pulumi.ResourceOptions(additional_secret_outputs=["result"])
        pulumi.export("text", random.RandomString("text", length=8, opts=opts).result)
    """)

    assert inline.engine.outputs("a.local") == {"text": "[secret]"}


FOREIGN = """
    import pulumi
    vpc = pulumi.CustomResource("aws:ec2/vpc:Vpc", "main", {"cidrBlock": "10.0.0.0/16"})
    pulumi.CustomResource("aws:ec2/subnet:Subnet", "inner", {"vpcId": vpc.id})
"""


def test_a_program_with_aws_resources_is_previewed_and_not_brought_up(inline: Inline) -> None:
    preview = inline.preview(FOREIGN)

    assert preview.needs_stock == ("aws:ec2/subnet:Subnet", "aws:ec2/vpc:Vpc")
    assert preview.counts() == {Op.CREATE: 2}
    with pytest.raises(Refused, match=r"(?s)can't make: aws:ec2/subnet.*pulumi up") as refusal:
        inline.up(FOREIGN)
    assert refusal.value.exit_code is ExitCode.REFUSED
    assert inline.engine.stacks() == []


def test_what_is_read_of_a_stack_that_is_still_to_be_made_is_unknown(inline: Inline) -> None:
    program = """
        import pulumi
        below = pulumi.StackReference("organization/moltghost/platform.local")
        pulumi.export("kubeconfig", below.require_output("kubeconfig"))
        pulumi.export("plain", "here")
    """
    (inline.folder / "Pulumi.platform.local.yaml").write_text("config: {}\n")

    preview = inline.preview(program)

    assert preview.needs_stacks == ("platform.local",)
    assert preview.outputs == {"kubeconfig": "[unknown]", "plain": "here"}
    with pytest.raises(Refused, match=r"stack platform\.local doesn't exist yet") as refusal:
        inline.up(program)
    assert refusal.value.hint == "create it with: moltghost up local"
    with pytest.raises(Refused, match=r"stack platform\.local doesn't exist yet"):
        inline.engine.up("a.local", report=silent, expect=preview)
    assert inline.engine.stacks() == []


def test_a_release_of_a_chart_is_previewed_and_not_brought_up(inline: Inline) -> None:
    program = """
        import pulumi, pulumi_kubernetes as k8s
        cluster = k8s.Provider("cluster", kubeconfig="none")
        k8s.helm.v3.Release("operator", chart="oci://example.invalid/operator", version="1.2.3",
                            opts=pulumi.ResourceOptions(provider=cluster))
    """

    preview = inline.preview(program)

    assert preview.needs_stock == ("kubernetes:helm.sh/v3:Release",)
    with pytest.raises(Refused, match="resources that the embedded engine can't make"):
        inline.up(program)


REFUSED = [
    pytest.param(
        'raise ValueError("bad size")',
        r"program of stack a\.local failed in __main__\.py line 2: ValueError: bad size",
        id="exception",
    ),
    pytest.param("import nothing_like_it", "No module named 'nothing_like_it'", id="import"),
    pytest.param("x = (", "SyntaxError", id="syntax"),
    pytest.param("import sys; sys.exit(3)", "SystemExit: 3", id="exit"),
    pytest.param(
        'import pulumi; pulumi.Config().require("missing")', "moltghost:missing", id="config"
    ),
    pytest.param(
        "import pulumi; raise pulumi.RunError('told so')", "stopped: told so", id="run error"
    ),
    pytest.param(
        "import pulumi; pulumi.Output.from_input(1).apply(lambda one: one / 0)",
        r"in __main__\.py line 2: ZeroDivisionError",
        id="in an apply",
    ),
    pytest.param(
        "import pulumi_random as r; r.RandomBytes('a', length=1); r.RandomBytes('a', length=2)",
        "two resources of the program are called a",
        id="same name twice",
    ),
    pytest.param(
        "import pulumi_random as r; r.RandomPet('a')",
        "no random:index/randomPet:RandomPet",
        id="unknown random",
    ),
    pytest.param(
        "import pulumi_kubernetes as k; k.core.v1.Namespace('a', metadata={'name': 'a'})",
        r"(?s)has no provider.*pulumi_kubernetes\.Provider",
        id="no provider",
    ),
    pytest.param(
        "import pulumi, pulumi_random as r\n"
        "r.RandomBytes('a', length=1, opts=pulumi.ResourceOptions(transforms=[lambda a: None]))",
        "uses transforms, which the embedded engine doesn't",
        id="transforms",
    ),
    pytest.param(
        "import pulumi; pulumi.ComponentResource('aws:x:Y', 'a', {}, None, True)",
        "runs in a plugin",
        id="remote component",
    ),
    pytest.param(
        "import pulumi; pulumi.runtime.invoke('kubernetes:yaml:decode', {'text': ''})",
        "calls kubernetes:yaml:decode, which the embedded engine doesn't have",
        id="invoke",
    ),
    pytest.param(
        "import pulumi; pulumi.StackReference('organization/moltghost/platform.prod')",
        "(?s)stack platform.prod doesn't exist, nor has it a configuration.*moltghost up prod",
        id="missing stack",
    ),
]


@pytest.mark.parametrize(("program", "message"), REFUSED)
def test_a_program_that_cannot_run_is_refused_in_one_message(
    inline: Inline, program: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match=message) as refusal:
        inline.preview(f"\n{program}\n")

    assert "Traceback" not in str(refusal.value)
    assert refusal.value.hint
    assert capfd.readouterr() == ("", "")
    assert inline.engine.stacks() == []


def test_an_error_of_ours_passes_through_as_it_is(inline: Inline) -> None:
    with pytest.raises(Refused, match=r"^too big\nhint: take less$"):
        inline.preview("""
            from moltghost.errors import Refused
            raise Refused("too big", "take less")
        """)


def test_a_program_that_fails_only_when_it_is_carried_out_has_failed(inline: Inline) -> None:
    with pytest.raises(Failed, match=r"ValueError: late") as failure:
        inline.up("""
            import pulumi, pulumi_random as random
            random.RandomBytes("kept", length=4)
            if not pulumi.runtime.is_dry_run():
                raise ValueError("late")
        """)

    assert failure.value.exit_code is ExitCode.FAILED
    assert inline.engine.stacks()[0].resource_count == 1


def test_what_the_program_says_is_kept_and_debug_chatter_is_not(inline: Inline) -> None:
    events: list[Event] = []
    inline.write("""
        import pulumi
        pulumi.warn("beware")
        pulumi.info("by the way")
        pulumi.debug("noise")
    """)

    preview = inline.engine.preview("a.local", report=events.append)

    assert preview.warnings == ("beware",)
    assert [event.detail for event in events if event.task.startswith("program")] == ["by the way"]
    assert "noise" not in repr(events)


def test_a_stack_that_is_not_there_is_refused_with_those_that_are(inline: Inline) -> None:
    inline.up("", "a.local")

    for change in (
        lambda: inline.engine.outputs("b.local"),
        lambda: inline.engine.destroy("b.local", protected="refuse", report=silent),
        lambda: inline.engine.forget("b.local"),
    ):
        with pytest.raises(Refused, match=r"(?s)no stack b\.local.*a\.local"):
            change()


def test_a_destroy_leaves_no_state(inline: Inline) -> None:
    inline.up(RANDOM.format(length=20))

    result = inline.engine.destroy("a.local", protected="refuse", report=silent)

    assert result.counts() == {Op.DELETE: 4}
    assert inline.engine.stacks() == []


def test_every_error_has_a_next_step(inline: Inline) -> None:
    for program in ("raise ValueError('x')", "x = ("):
        with pytest.raises(MoltghostError) as error:
            inline.preview(program)
        assert error.value.hint
