"""What vendors' words say of registration, and above all what they do not say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model.registration import Method, Registration, Source
from monitor.probes.registration.phrases import says_existing_users_can_log_in, settled, statements
from monitor.text.cleaner import as_time, as_url, clean, visible_text
from monitor.text.countries import countries, country, country_codes, is_country_code
from monitor.text.lexicon import Language, lexicon
from tests.edges.site import NOW

OPEN, RESTRICTED, DELAYED, CLOSED = (
    Registration.OPEN,
    Registration.RESTRICTED,
    Registration.DELAYED,
    Registration.CLOSED,
)

JANUARY_2025 = [
    (
        (
            "Due to large-scale malicious attacks on DeepSeek's services, we are temporarily limiting registrations to "
            "ensure continued service. Existing users can log in as usual."
        ),
        {Method.ANY: (RESTRICTED, ())},
    ),
    (
        "Only registration with a mainland China mobile phone number is currently supported.",
        {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86",))},
    ),
    (
        "线上服务受到大规模恶意攻击, 为持续提供服务, 暂时限制了+86手机号以外的注册方式, 已注册用户可以正常登录",
        {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86",))},
    ),
    ("Due to attacks, registration may be busy. Please wait and try again.", {Method.ANY: (DELAYED, ())}),
    ("由于服务受到大规模恶意攻击，注册可能繁忙，请稍候重试。", {Method.ANY: (DELAYED, ())}),
]
PRESENT = [
    ("Registration is temporarily closed.", {Method.ANY: (CLOSED, ())}),
    ("Sign-ups have been paused.", {Method.ANY: (CLOSED, ())}),
    ("We've paused new sign-ups while we add capacity.", {Method.ANY: (CLOSED, ())}),
    ("New sign ups are currently disabled", {Method.ANY: (CLOSED, ())}),
    ("We're not currently accepting new sign-ups.", {Method.ANY: (CLOSED, ())}),
    ("暂停注册，已注册用户可以正常登录。", {Method.ANY: (CLOSED, ())}),
    ("暂未开放注册", {Method.ANY: (CLOSED, ())}),
    ("目前仅支持中国大陆手机号注册", {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86",))}),
    ("当前只支持+86手机号注册。", {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86",))}),
    (
        "Registration is limited to phone numbers from mainland China (+86), Hong Kong (+852) and Macau (+853).",
        {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86", "852", "853"))},
    ),
    (
        "Only phone registration is supported at the moment.",
        {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ())},
    ),
    (
        "Registration by email is temporarily disabled, but Google and Apple sign-up is available.",
        {Method.EMAIL: (CLOSED, ()), Method.GOOGLE: (OPEN, ()), Method.APPLE: (OPEN, ())},
    ),
    ("微信注册暂停，手机注册正常", {Method.WECHAT: (CLOSED, ()), Method.PHONE: (OPEN, ())}),
    ("暫停註冊，已註冊用戶可以正常登錄。", {Method.ANY: (CLOSED, ())}),
    ("目前僅支持中國大陸手機號註冊", {Method.ANY: (RESTRICTED, ()), Method.PHONE: (RESTRICTED, ("86",))}),
    ("Top-ups are suspended; registration is open", {Method.ANY: (OPEN, ())}),
    ("We are seeing delays for new registrations", {Method.ANY: (DELAYED, ())}),
]
OVER = [
    "Registration is no longer limited.",
    "Sign-ups are back to normal.",
    "We have lifted the restrictions on registration.",
    "The restrictions on new registrations have been lifted.",
    "Registration has been restored.",
    "不再限制注册",
    "注册已恢复正常",
    "已恢复注册",
]
SILENT = [
    "Registrations are not closed.",
    "We are not limiting registrations.",
    "我们没有限制注册",
    "Registration was temporarily limited on Monday.",
    "Sign-ups were paused last week.",
    "此前暂停注册",
    "We will pause sign-ups on Friday.",
    "将于周五暂停注册",
    "We may limit registration when demand is high.",
    "Registrations will be restored soon.",
    "We are working to restore registrations.",
    "尚未恢复注册",
    "Why is registration closed?",
    "注册关闭了吗？",
    "If demand is too high, registration is paused.",
    "如果需求过高，将暂停注册",
    "Registration for the webinar is closed.",
    "Device registration is disabled.",
    "注册商标 关闭",
    "注册后可关闭提醒",
    "Invite code (optional)",
    "邀请码（选填）",
    "Limited-time offer: register now!",
    "Unlimited registrations for all",
    "Join the waitlist for our desktop gadget",
    "Sign up only takes a minute on your phone",
    "Only one phone number can be registered per account.",
    "Please only use your own phone number to register.",
    "Existing users can log in as usual.",
    "The API is limited to 60 requests a minute.",
]


def read(text: str) -> dict[Method, tuple[Registration, tuple[str, ...]]]:
    readings, _contradictory = settled(statements(text, Source.PAGE_TEXT))
    return {reading.method: (reading.state, reading.country_codes) for reading in readings}


@pytest.mark.parametrize(("text", "expected"), [*JANUARY_2025, *PRESENT], ids=lambda value: str(value)[:30])
def test_a_statement_about_now_gives_state_method_and_country_codes(text: str, expected: object) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("text", OVER)
def test_a_restriction_that_is_lifted_means_open(text: str) -> None:
    assert read(text) == {Method.ANY: (OPEN, ())}


@pytest.mark.parametrize("text", SILENT)
def test_negations_plans_the_past_questions_and_other_matters_say_nothing(text: str) -> None:
    assert read(text) == {}


@pytest.mark.parametrize(
    ("text", "invite", "approval", "domains"),
    [
        ("Claude is invite only.", True, False, ()),
        ("请输入邀请码", True, False, ()),
        ("Join the waitlist to get access.", False, True, ()),
        ("New accounts require manual approval.", False, True, ()),
    ],
)
def test_conditions_are_restrictions_with_their_details(
    text: str, invite: bool, approval: bool, domains: tuple[str, ...]
) -> None:
    (reading,) = settled(statements(text, Source.PAGE_TEXT))[0]
    assert (reading.state, reading.invite_required, reading.approval_required) == (RESTRICTED, invite, approval)
    assert reading.email_domains == domains


def test_only_some_mail_domains_is_a_restriction_of_mail() -> None:
    readings, _ = settled(statements("Only @example.org e-mail addresses can register.", Source.PAGE_TEXT))
    assert {(r.method, r.state, r.email_domains) for r in readings} == {
        (Method.EMAIL, RESTRICTED, ("example.org",)),
        (Method.ANY, RESTRICTED, ()),
    }


def test_a_text_that_contradicts_itself_makes_the_method_unknown() -> None:
    text = "Registration is closed. Sign-ups are back to normal."
    readings, contradictory = settled(statements(text, Source.OFFICIAL_TEXT))
    assert contradictory
    assert [(r.method, r.state) for r in readings] == [(Method.ANY, Registration.UNKNOWN)]


def test_who_asks_for_an_invitation_has_not_closed() -> None:
    (reading,) = settled(statements("Registration is closed. Sign-up is invite-only.", Source.PAGE_TEXT))[0]
    assert (reading.state, reading.invite_required) == (RESTRICTED, True)


def test_the_excerpt_is_the_sentence_itself_bounded_and_printable() -> None:
    text = "Hello.\u202e Registration is closed\x00 \x1b[31mnow " + "x" * 900
    (reading,) = settled(statements(text, Source.PAGE_TEXT, "https://vendor.example/"))[0]
    assert reading.excerpt.startswith("Registration is closed [31mnow xxx")
    assert len(reading.excerpt) == 300
    assert reading.url == "https://vendor.example/"


def test_existing_users_are_reassured_in_both_languages() -> None:
    assert says_existing_users_can_log_in("Existing users can log in as usual.")
    assert says_existing_users_can_log_in("已注册用户可以正常登录")
    assert not says_existing_users_can_log_in("New users can sign up.")


def sentences_by_state() -> list[tuple[str, str]]:
    """Every sentence of the list with the word that follows from it."""
    found, state = [], ""
    for line in (Path(__file__).parent / "sign_up_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            state = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((line, state))
    return found


def test_each_sentence_of_the_list_says_its_word_and_no_other() -> None:
    listed = sentences_by_state()
    assert min(Counter(state for _, state in listed).values()) >= 60
    wrong = []
    for text, state in listed:
        found = {reading.state.value for reading in settled(statements(text, Source.OFFICIAL_TEXT))[0]}
        if found != ({state} - {"nothing"}):
            wrong.append(f"{text} is {state}, read as {sorted(found)}")
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("About 69 % of sign-up attempts fail.", 0.69),
        ("The success rate of account creation has dropped to 31%.", 0.69),
        ("Only 31 percent of sign-ups succeed.", 0.69),
        ("约69%的注册失败", 0.69),
        ("注册成功率降至31%", 0.69),
        ("Two thirds of registrations fail.", 0.6667),
        ("一半的注册请求失败", 0.5),
        ("All sign-up attempts are failing.", 1.0),
        ("Nobody can sign up.", 1.0),
        ("所有新用户均无法注册", 1.0),
        ("Some people cannot sign up at the moment.", None),
        ("All users in Asia cannot sign up.", None),
        ("Sign-ups are failing.", None),
        ("Nobody could create an account for three quarters of an hour.", 1.0),
        ("900 % of sign-ups fail.", None),
    ],
)
def test_how_much_fails_is_told_where_the_words_tell_it(text: str, share: float | None) -> None:
    (reading,) = settled(statements(text, Source.OFFICIAL_TEXT))[0]
    assert (reading.state, reading.failed_ratio) == (Registration.FAILING, share)


HINTS = [
    "Trouble signing up?",
    "Can't create an account",
    "Sign-up failed. Please try again.",
    "Problems with registration",
    "注册失败",
]


@pytest.mark.parametrize("text", HINTS)
def test_hints_for_readers_of_a_page_are_no_statement_about_sign_up(text: str) -> None:
    assert settled(statements(text, Source.PAGE_TEXT))[0] == ()


@pytest.mark.parametrize(
    "text", ["Sign-ups are currently failing.", "We are having problems with registration.", "目前注册功能异常"]
)
def test_a_page_that_says_that_sign_up_fails_is_believed(text: str) -> None:
    assert [reading.state for reading in settled(statements(text, Source.PAGE_TEXT))[0]] == [Registration.FAILING]


EXAMPLES = [*(text for text, _expected in (*JANUARY_2025, *PRESENT)), *OVER, *SILENT]
vocabulary = sorted({word for text in EXAMPLES for word in re.findall(r"[\w+@.-]+|[^\w\s]", text)})


@given(st.lists(st.sampled_from(vocabulary), max_size=25).map(" ".join))
def test_no_jumble_of_the_very_words_breaks_the_reader(text: str) -> None:
    for statement in statements(text, Source.PAGE_TEXT):
        assert statement.reading.excerpt
        assert statement.reading.state is not Registration.UNKNOWN
    readings, _ = settled(statements(text, Source.PAGE_TEXT))
    assert len({reading.method for reading in readings}) == len(readings)


def test_country_codes_are_those_of_the_numbering_plan() -> None:
    assert country_codes("+86, ＋852, 0044 and +999, +000") == ("86", "852", "44")
    assert country_codes("Indian numbers, 中国大陆 and Germany") == ("91", "86", "49")
    assert country_codes("join us in the chat") == ()
    assert is_country_code("86")
    assert not is_country_code("999")
    assert not is_country_code("８６")


def test_country_codes_are_shown_with_names() -> None:
    english, chinese = lexicon(), lexicon(Language.ZH)
    assert [country(code, english) for code in ("86", "999", "1")] == [
        "China (+86)",
        "+999",
        "United States and others (+1)",
    ]
    assert [country(code, chinese) for code in ("86", "999", "1", "800")] == [
        "中国（+86）",
        "+999",
        "美国等（+1）",
        "全球（+800）",
    ]
    assert countries(["86", "49"], english) == "China (+86) and Germany (+49)"
    assert countries(["86", "49"], chinese) == "中国（+86）和德国（+49）"
    assert countries(["86"] * 8, english).endswith(" and 2 more")


def test_scripts_comments_and_hidden_elements_are_not_read() -> None:
    page = (
        "<title>registration is closed</title><script>var a = 'registration is closed'</script>"
        "<!-- registration is closed --><div hidden>registration is closed<div>deeper</div>still</div>"
        "<p style='display:none'>registration is closed</p><template>registration is closed</template>"
        "<noscript>registration is closed</noscript><p>Welcome &amp; <b>hello</b></p>"
    )
    assert visible_text(page) == "Welcome & hello"


@pytest.mark.parametrize(
    "page",
    [
        "<" * 400_000,
        "<!--" * 100_000,
        "<a b='" * 80_000 + ">",
        "<div hidden>" * 40_000,
        "&#" * 250_000,
        "<script>" * 60_000,
    ],
    ids=lambda page: page[:8],
)
@pytest.mark.timeout(60)  # what grows with the square of its length takes minutes
def test_crafted_markup_costs_no_more_than_its_length(page: str) -> None:
    assert len(statements(visible_text(page), Source.PAGE_TEXT)) == 0


@pytest.mark.parametrize("word", ["only ", "registration ", "sign up, ", "注册限制", "not ", "registration is a "])
@pytest.mark.timeout(60)  # what grows with the square of its length takes minutes
def test_crafted_text_costs_no_more_than_its_length(word: str) -> None:
    statements(word * (500_000 // len(word)), Source.PAGE_TEXT)


@pytest.mark.parametrize("clause", ["only phone,", "only +86 phone,", "only united kingdom numbers,", "仅支持手机号,"])
@pytest.mark.timeout(60)  # what grows with the square of its length takes minutes
def test_a_page_of_sentences_with_many_clauses_costs_no_more_either(clause: str) -> None:
    sentence = "register," + clause * (580 // len(clause)) + "x.\n"
    statements(sentence * 250, Source.PAGE_TEXT)


def test_codes_are_those_that_a_text_names_from_a_place_on() -> None:
    text = "not +44, only +86 and hong kong"
    assert country_codes(text) == ("44", "86", "852")
    assert country_codes(text, text.index("only")) == ("86", "852")


def test_foreign_values_become_bounded_text_or_nothing() -> None:
    assert clean("a\u202eb\u200b\x00\x1b[0m\tc\ud800", 50) == "ab [0m c"
    assert clean("x" * 10_000, 20) == "x" * 19 + "…"
    assert clean({"a": 1}, 20) == clean(None, 20) == clean(True, 20) == ""
    assert clean(10**5000, 20) == ""
    assert as_url("javascript:alert(1)") == as_url("https://user:pass@x.example/") == as_url("//x") == ""
    assert as_url("https://status.example/i/1") == "https://status.example/i/1"


def test_times_without_zone_are_utc_and_impossible_ones_are_none() -> None:
    assert str(as_time("2026-11-22T14:00:00", NOW)) == "2026-11-22 14:00:00+00:00"
    assert str(as_time("2019-02-20T13:40:58.572-06:00", NOW)) == "2019-02-20 19:40:58.572000+00:00"
    assert str(as_time("Sun, 22 Nov 2026 14:02:42 GMT", NOW)) == "2026-11-22 14:02:42+00:00"
    assert as_time("2026-11-22T15:05:00Z", NOW) == NOW
    nonsense: list[object] = ["2027-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon", "", None, True, 1e300, -1, [], {}]
    assert [as_time(value, NOW) for value in (*nonsense, float("nan"))] == [None] * 11
