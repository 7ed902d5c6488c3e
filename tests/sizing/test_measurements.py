from tests.sizing.measurements import UNDER, parser_rows, points, scores


def test_every_public_point_is_scored() -> None:
    assert len(points()) == 11
    assert all(list(scores(point)) for point in points())


def test_nothing_is_predicted_below_what_was_measured_unless_its_reason_is_listed() -> None:
    under = {point["id"] for point in points() for score in scores(point) if score.under}
    assert under == set(UNDER)


def test_totals_of_current_builds_are_within_half_a_percent() -> None:
    for point in points():
        for score in scores(point):
            if point["id"] not in UNDER:
                assert 0 <= score.error_percent < 0.5, score


def test_ggufparser_leaves_its_compute_graph_and_nothing_else() -> None:
    # Its graph has a score of every head for every token of a batch of 512, as F32, and that is
    # what its rest is beside some 0.8 GiB; weights or KV cache that differed would show.
    for label, context, ours, theirs, rest in parser_rows():
        assert ours < theirs, label
        heads = 28 if "7B" in label else 32 if "8B" in label else 64
        scores_gib = heads * context * 512 * 4 / 1024**3
        assert -0.2 < rest - scores_gib < 1.3, (label, rest, scores_gib)
