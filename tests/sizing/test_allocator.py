from moltghost.sizing.allocator import Tensor, peak_bytes


def peak(*nodes: Tensor, inputs: tuple[Tensor, ...] = ()) -> int:
    return peak_bytes(inputs, nodes, alignment=32)


def test_sizes_are_rounded_up_to_the_alignment() -> None:
    assert peak(Tensor(33)) == 64


def test_a_tensor_is_freed_after_its_last_use() -> None:
    first = Tensor(64)
    second = Tensor(64, sources=(first,))
    third = Tensor(64, sources=(second,))
    assert peak(first, second, third, Tensor(64, sources=(third,))) == 128


def test_the_best_fitting_hole_is_taken() -> None:
    wide, keep, narrow, wall = Tensor(128), Tensor(32), Tensor(64), Tensor(32)
    user = Tensor(32, sources=(wide, narrow))
    fits = Tensor(64, sources=(user,))
    last = Tensor(32, sources=(fits, keep, wall, user))
    # wide and narrow are free when `fits` comes: it takes narrow's hole, which it fills.
    assert peak(wide, keep, narrow, wall, user, fits, last) == 128 + 32 + 64 + 32 + 32


def test_an_operation_in_place_takes_over_its_sources_memory() -> None:
    first = Tensor(64, "same")
    assert peak(first, Tensor(64, "same", (first,), in_place=True)) == 64
    first = Tensor(64, "same")
    assert peak(first, Tensor(64, "other", (first,), in_place=True)) == 128


def test_a_source_that_is_used_again_is_not_overwritten() -> None:
    first = Tensor(64, "same")
    second = Tensor(64, "same", (first,), in_place=True)
    assert peak(first, second, Tensor(32, sources=(first, second))) == 160


def test_a_view_keeps_its_owner_and_is_not_overwritten() -> None:
    owner = Tensor(64, "same")
    view = Tensor(0, "same", (owner,), view_of=owner)
    assert peak(owner, view, Tensor(64, "same", (view,), in_place=True)) == 128


def test_inputs_are_there_first_and_kept_ones_stay() -> None:
    given, kept = Tensor(64), Tensor(64, kept=True)
    first = Tensor(32, sources=(given, kept))
    assert peak(first, Tensor(64, sources=(first,)), inputs=(given, kept)) == 160
    given, kept = Tensor(64), Tensor(64, kept=True)
    first = Tensor(32, sources=(given, kept))
    assert peak(first, Tensor(96, sources=(first,)), inputs=(given, kept)) == 256
