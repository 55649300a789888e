"""Readings of sign-up: repeated before they count, the strongest fresh source wins, failing to read closes nothing."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.catalogue import Policy
from monitor.core.components.registration import rules as registration
from monitor.core.components.registration.rules import RegistrationState
from monitor.core.entities import RegistrationChange
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health

from .making import at

OPEN, DELAYED, RESTRICTED, CLOSED, UNKNOWN = (
    Registration.OPEN,
    Registration.DELAYED,
    Registration.RESTRICTED,
    Registration.CLOSED,
    Registration.UNKNOWN,
)


def says(
    state: Registration,
    method: Method = Method.EMAIL,
    source: Source = Source.CONFIG_ENDPOINT,
    codes: tuple[str, ...] = (),
    url: str = "",
) -> MethodReading:
    return MethodReading(method, state, source, codes, excerpt=f"says {state}", url=url)


def read(*rounds: MethodReading | tuple[MethodReading, ...]) -> tuple[RegistrationState, list[RegistrationChange]]:
    """One round of readings a minute."""
    state = registration.new_state("deepseek/registration")
    changes: list[RegistrationChange] = []
    for number, readings in enumerate(rounds):
        round_ = readings if isinstance(readings, tuple) else (readings,)
        state, new = registration.step(state, round_, at(60 * number), Policy())
        changes += new
    return state, changes


def word(*rounds: MethodReading | tuple[MethodReading, ...]) -> Registration:
    return registration.overall_state(read(*rounds)[0], at(60 * len(rounds)))


def test_the_first_reading_is_taken_at_its_word_and_a_change_must_be_repeated() -> None:
    assert word(says(OPEN)) is OPEN
    assert word(says(OPEN), says(CLOSED)) is OPEN
    assert word(says(OPEN), says(CLOSED), says(CLOSED)) is CLOSED
    assert word(says(OPEN), says(CLOSED), says(OPEN), says(CLOSED)) is OPEN
    assert word(says(OPEN), says(CLOSED), says(RESTRICTED), says(CLOSED)) is OPEN


def test_a_change_tells_before_and_after() -> None:
    _, changes = read(says(OPEN), says(RESTRICTED, codes=("86",)), says(RESTRICTED, codes=("86",)))
    assert [(c.before.state if c.before else None, c.after.state) for c in changes] == [
        (None, OPEN),
        (OPEN, RESTRICTED),
    ]
    assert changes[1].after.country_codes == ("86",)
    assert changes[1].at == at(120)


def test_a_change_began_with_the_first_reading_that_showed_it_but_not_before_it_was_believed() -> None:
    state, _ = read(says(OPEN), says(OPEN), says(CLOSED), says(CLOSED))
    assert state.methods[0].since == at(120)
    config, page = says(CLOSED), says(OPEN, source=Source.PAGE_TEXT)
    state, _ = read((config, page))
    for minute in range(1, 70):
        state, _ = registration.step(state, (page,), at(60 * minute), Policy())
    assert state.methods[0].state is OPEN
    assert state.methods[0].since >= at(0)
    assert registration.verdict(state, at(4200)).since == state.methods[0].since


def test_other_country_codes_are_a_change_and_their_order_is_none() -> None:
    first = says(RESTRICTED, codes=("86", "852"))
    assert len(read(first, says(RESTRICTED, codes=("852", "86")), says(RESTRICTED, codes=("852", "86")))[1]) == 1
    assert len(read(first, says(RESTRICTED, codes=("86",)), says(RESTRICTED, codes=("86",)))[1]) == 2


def test_the_strongest_fresh_source_wins_and_a_weaker_one_speaks_when_it_is_silent() -> None:
    config, page = says(CLOSED), says(OPEN, source=Source.PAGE_TEXT)
    assert word((config, page)) is CLOSED
    assert word((page, config)) is CLOSED
    state, _ = read((config, page))
    for minute in range(1, 70):
        state, _ = registration.step(state, (page,), at(60 * minute), Policy())
    assert registration.overall_state(state, at(4200)) is OPEN


def test_contradiction_of_equal_weight_is_unknown() -> None:
    assert word((says(OPEN, url="https://a.example/"), says(CLOSED, url="https://b.example/"))) is UNKNOWN


def test_what_is_not_renewed_ages_into_unknown_without_a_change() -> None:
    state, _ = read(says(CLOSED))
    assert registration.overall(state, at(3600)) is Health.MAJOR
    aged = registration.settle(state, at(3601))
    assert aged.methods[0].state is UNKNOWN
    assert aged.methods[0].since == at(3600)
    assert registration.overall(state, at(3601)) is Health.UNKNOWN
    assert registration.verdict(state, at(3601)).good_since is None


def test_after_a_silence_a_change_is_told_from_what_was_known_last() -> None:
    state, _ = read(says(OPEN))
    state = registration.settle(state, at(9000))
    state, first = registration.step(state, (says(OPEN),), at(9060), Policy())
    assert first == ()
    state = registration.settle(state, at(20000))
    changes: tuple[RegistrationChange, ...] = ()
    for moment in (20060, 20120):
        state, changes = registration.step(state, (says(CLOSED),), at(moment), Policy())
    assert [(c.before.state if c.before else None, c.after.state) for c in changes] == [(OPEN, CLOSED)]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((OPEN, OPEN), OPEN),
        ((OPEN, DELAYED), DELAYED),
        ((OPEN, CLOSED), RESTRICTED),
        ((OPEN, RESTRICTED), RESTRICTED),
        ((DELAYED, CLOSED), RESTRICTED),
        ((CLOSED, CLOSED), CLOSED),
        ((CLOSED, UNKNOWN), CLOSED),
        ((UNKNOWN, UNKNOWN), UNKNOWN),
        ((OPEN, UNKNOWN), OPEN),
    ],
)
def test_one_word_over_all_methods(states: tuple[Registration, Registration], expected: Registration) -> None:
    assert word((says(states[0]), says(states[1], Method.PHONE))) is expected


def test_a_stronger_word_about_everything_outweighs_the_methods() -> None:
    everything = says(CLOSED, Method.ANY, Source.OFFICIAL_TEXT)
    assert word((says(OPEN, source=Source.PAGE_TEXT), everything)) is CLOSED
    assert word((says(OPEN), everything)) is RESTRICTED


@given(
    st.lists(
        st.tuples(
            st.sampled_from([OPEN, DELAYED, RESTRICTED, CLOSED, UNKNOWN, None]),
            st.sampled_from([Method.EMAIL, Method.ANY]),
        ),
        max_size=30,
    )
)
def test_closed_is_never_said_unless_it_was_read_and_states_survive_json(
    seen: list[tuple[Registration | None, Method]],
) -> None:
    state, said_closed = registration.new_state("deepseek/registration"), False
    for number, (word_, method) in enumerate(seen):
        said_closed |= word_ is CLOSED
        readings = () if word_ is None else (says(word_, method),)
        state, _ = registration.step(state, readings, at(600 * number), Policy())
        assert RegistrationState.from_json(state.to_json()) == state
        if not said_closed:
            assert registration.overall_state(state, at(600 * number)) is not CLOSED


def test_old_and_repeated_results_change_nothing() -> None:
    state, _ = read(says(OPEN), says(OPEN))
    assert registration.step(state, (says(CLOSED),), at(60), Policy()) == (state, ())
    assert registration.step(state, (says(CLOSED),), at(0), Policy()) == (state, ())


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        (says(OPEN), says(DELAYED), True),
        (says(OPEN), says(RESTRICTED, codes=("86",)), True),
        (says(RESTRICTED, codes=("86", "852")), says(RESTRICTED, codes=("86",)), True),
        (says(RESTRICTED, codes=("86",)), says(RESTRICTED, codes=("86", "852")), False),
        (says(CLOSED), says(RESTRICTED, codes=("86",)), False),
        (says(CLOSED), says(OPEN), False),
    ],
)
def test_worse_means_that_fewer_people_can_sign_up(before: MethodReading, after: MethodReading, worse: bool) -> None:
    _, changes = read(before, after, after)
    assert registration.is_worse(changes[-1]) is worse
    assert not registration.is_worse(changes[0])


FAILING = Registration.FAILING


def fails(
    method: Method = Method.EMAIL, source: Source = Source.OFFICIAL_TEXT, ratio: float | None = None
) -> MethodReading:
    return MethodReading(method, FAILING, source, excerpt="fails", failed_ratio=ratio)


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((says(OPEN), fails()), FAILING),  # what is allowed says nothing of what works
        ((says(RESTRICTED, codes=("86",)), fails()), FAILING),
        ((says(CLOSED), fails()), CLOSED),  # what is not allowed cannot fail
        ((says(OPEN, source=Source.PAGE_TEXT), fails()), FAILING),
        ((says(OPEN, source=Source.OFFICIAL_TEXT), fails(source=Source.PAGE_TEXT)), OPEN),  # said to be mended
        ((says(OPEN, source=Source.OFFICIAL_TEXT, url="https://b.example/"), fails()), UNKNOWN),
        ((says(OPEN, source=Source.ATTEMPT), fails()), OPEN),  # it was tried, and it works
        ((says(RESTRICTED), says(OPEN, source=Source.ATTEMPT)), RESTRICTED),  # works, for those who may
        ((says(OPEN), fails(source=Source.ATTEMPT)), FAILING),
        ((says(CLOSED), fails(source=Source.ATTEMPT)), CLOSED),
        ((fails(), says(OPEN, Method.GOOGLE)), FAILING),
        ((fails(), says(CLOSED, Method.GOOGLE)), FAILING),
        ((fails(Method.ANY), says(OPEN)), FAILING),
    ],
)
def test_failing_stands_beside_a_policy_and_yields_to_closed_or_to_what_was_tried(
    readings: tuple[MethodReading, ...], expected: Registration
) -> None:
    assert word(readings) is expected


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((fails(ratio=1.0),), Health.MAJOR),
        ((fails(ratio=0.8),), Health.MAJOR),
        ((fails(ratio=0.69),), Health.PARTIAL),
        ((fails(),), Health.PARTIAL),  # nobody told how many
        ((fails(ratio=1.0), says(OPEN, Method.GOOGLE)), Health.PARTIAL),
        ((fails(ratio=1.0), says(CLOSED, Method.GOOGLE)), Health.MAJOR),
        ((fails(Method.ANY, ratio=1.0), says(OPEN)), Health.MAJOR),
        ((fails(Method.ANY, ratio=0.5), says(OPEN)), Health.PARTIAL),
    ],
)
def test_failing_is_major_only_where_practically_nobody_gets_in(
    readings: tuple[MethodReading, ...], expected: Health
) -> None:
    assert registration.overall(read(readings)[0], at(60)) is expected


def test_a_share_that_wanders_is_no_change_and_one_that_moves_is_told_once() -> None:
    shares = (0.69, 0.69, 0.74, 0.66, 0.6, 0.3, 0.32, 0.3)
    _, changes = read(
        says(OPEN, source=Source.ATTEMPT), *(fails(source=Source.ATTEMPT, ratio=share) for share in shares)
    )
    assert [(c.after.state, c.after.failed_ratio) for c in changes] == [(OPEN, None), (FAILING, 0.69), (FAILING, 0.32)]


def test_what_fails_at_the_first_reading_is_news_as_nothing_fails_by_policy() -> None:
    _, changes = read(fails())
    assert registration.is_worse(changes[0])
    _, changes = read(says(CLOSED), fails(source=Source.CONFIG_ENDPOINT), fails(source=Source.CONFIG_ENDPOINT))
    assert not registration.is_worse(changes[-1])


def seen_from(*looks: tuple[str, float, MethodReading]) -> tuple[RegistrationState, list[RegistrationChange]]:
    """Readings from places at seconds."""
    state = registration.new_state("shop/registration")
    changes: list[RegistrationChange] = []
    for place, seconds, reading in looks:
        state, new = registration.step(state, (reading,), at(seconds), Policy(), place)
        changes += new
        assert RegistrationState.from_json(state.to_json()) == state
    return state, changes


def each(state: RegistrationState) -> dict[str, Registration]:
    return {item.word.place: item.word.state for item in state.methods[0].places}


def test_places_that_disagree_are_both_kept_and_the_word_over_them_is_the_worse() -> None:
    minutes = range(0, 600, 60)
    looks = [look for s in minutes for look in (("fra", s, says(OPEN)), ("sin", s + 1, fails(ratio=1.0)))]
    state, changes = seen_from(*looks)
    assert each(state) == {"fra": OPEN, "sin": FAILING}
    assert registration.overall_state(state, at(600)) is FAILING
    assert registration.overall(state, at(600)) is Health.PARTIAL
    assert len(changes) == 2, "one for each place that spoke first, and none since"
    assert [word.place for word in changes[-1].after.differing] == ["fra", "sin"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (OPEN, OPEN, OPEN),
        (OPEN, CLOSED, RESTRICTED),
        (CLOSED, CLOSED, CLOSED),
        (CLOSED, FAILING, FAILING),
        (OPEN, DELAYED, DELAYED),
        (RESTRICTED, CLOSED, RESTRICTED),
        (FAILING, FAILING, FAILING),
    ],
)
def test_one_word_over_two_places(one: Registration, other: Registration, expected: Registration) -> None:
    state, _ = seen_from(("fra", 0, says(one)), ("sin", 1, says(other)))
    assert registration.overall_state(state, at(2)) is expected


def test_a_place_that_falls_silent_in_trouble_holds_open_back_until_it_is_forgotten() -> None:
    looks = [("fra", s, says(OPEN)) for s in range(60, 86400 * 2, 1800)]
    state, _ = seen_from(("fra", 0, says(OPEN)), ("sin", 1, says(CLOSED)), *looks[:4])
    assert registration.overall_state(state, at(7000)) is UNKNOWN
    assert each(registration.settle(state, at(7000))) == {"fra": OPEN, "sin": UNKNOWN}
    state, _ = seen_from(("fra", 0, says(OPEN)), ("sin", 1, says(OPEN)), *looks[:10])
    assert registration.overall_state(state, at(looks[9][1])) is OPEN, "a place that was open when it went has no part"
    state, _ = seen_from(("fra", 0, says(OPEN)), ("sin", 1, says(CLOSED)), *looks)
    assert each(state) == {"fra": OPEN}
    assert registration.overall_state(state, at(looks[-1][1])) is OPEN


def test_an_older_look_of_another_place_counts_and_one_of_the_same_place_does_not() -> None:
    state, _ = seen_from(("fra", 60, says(OPEN)), ("sin", 59, says(CLOSED)))
    assert each(state) == {"fra": OPEN, "sin": CLOSED}
    assert seen_from(("fra", 60, says(OPEN)), ("sin", 59, says(CLOSED)), ("sin", 58, says(OPEN)))[0] == state


def test_a_state_stored_before_places_were_told_apart_belongs_to_the_first_place_that_looks() -> None:
    former = {
        "component": "shop/registration",
        "methods": [["email", "closed", 0, 60_000_000, "config_endpoint", [], [], False, False, "no", "u"]],
        "known": [["email", "closed", 0, 60_000_000, "config_endpoint", [], [], False, False, "no", "u"]],
        "claims": [
            [["email", "closed", "config_endpoint", [], [], False, False, "no", "u"], 0, 60_000_000, None, None, 0]
        ],
        "seen_at": 60_000_000,
    }
    state = RegistrationState.from_json(former)
    assert state.to_json() == former
    assert (state.methods[0].state, state.methods[0].places, state.methods[0].failed_ratio) == (CLOSED, (), None)
    moment = state.methods[0].read_at
    assert registration.step(state, (says(OPEN, url="u"),), moment, Policy(), "fra") == (state, ())
    for minute in (1, 2):
        later = moment + timedelta(minutes=minute)
        state, changes = registration.step(state, (says(OPEN, url="u"),), later, Policy(), "fra")
        assert state.methods[0].state is (CLOSED if minute == 1 else OPEN)
    assert [(c.before.state if c.before else None, c.after.state) for c in changes] == [(CLOSED, OPEN)]


@pytest.mark.parametrize(
    ("reading", "listened", "worse"),
    [
        (says(RESTRICTED, source=Source.OFFICIAL_TEXT), True, True),
        (says(CLOSED, source=Source.OFFICIAL_TEXT), True, True),
        (says(RESTRICTED, source=Source.OFFICIAL_TEXT), False, False),
        (says(RESTRICTED), True, False),
        (says(OPEN, source=Source.OFFICIAL_TEXT), True, False),
    ],
)
def test_an_announcement_is_news_to_whoever_listened_before(
    reading: MethodReading, listened: bool, worse: bool
) -> None:
    state = registration.new_state("shop/registration")
    state, (change,) = registration.step(state, (reading,), at(0), Policy(), "fra", listened=listened)
    assert registration.is_worse(change) is worse
    assert registration.step(state, (reading,), at(60), Policy(), "fra", listened=True)[1] == ()
