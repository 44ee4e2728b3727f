import time
import uuid

from weft.ids import uuid7


def test_ids_are_version_7_and_carry_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_one_process_sort_in_the_order_of_making() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))
