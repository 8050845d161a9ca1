"""How long the supervisor waits before it starts a crashed part again."""

from taor_local.child import LONGEST_PAUSE_SECONDS, pause_before_restart


def test_the_first_restart_is_immediate() -> None:
    assert pause_before_restart(0) == 0


def test_pauses_grow_up_to_their_bound() -> None:
    pauses = [pause_before_restart(recent) for recent in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.25
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
