from feeder.datasets.pku import ACTION_NAMES, DATASETS


def test_the_51_actions_have_names_in_the_order_of_their_numbers():
    assert len(set(ACTION_NAMES)) == 51
    assert list(ACTION_NAMES) == sorted(ACTION_NAMES)  # as the release numbers them
    assert [ACTION_NAMES[number - 1] for number in (1, 8, 51)] == ["bow", "drink water", "writing"]
    assert all(described.classes == ACTION_NAMES for described in DATASETS.values())
