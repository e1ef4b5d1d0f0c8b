from tests.client.bench.made_up import closed, measured_of, opened


def test_the_best_point_of_a_batch_size_has_the_highest_throughput() -> None:
    """Right answers count: neither wrong ones nor errors."""
    measured = measured_of(
        closed(8, 1),
        closed(8, 2, calls=3000, wrong=1000),
        closed(8, 4, calls=3000, errors={"RESOURCE_EXHAUSTED": 2500}),
        closed(32, 1, calls=9000),
    )

    best = measured.best(8)
    assert (best.concurrency, best.images_per_s) == (2, 8 * 2000)


def test_batch_sizes_are_told_once_each() -> None:
    """In the order of measuring."""
    assert measured_of(closed(1, 1), closed(1, 2), opened(1, 0.5), closed(8, 1)).batch_sizes == [1, 8]


def test_images_a_second_are_those_answered() -> None:
    """Of an open loop too: not those that were due."""
    assert opened(32, 0.5, calls=400, seconds=2.0).images_per_s == 32 * 200
