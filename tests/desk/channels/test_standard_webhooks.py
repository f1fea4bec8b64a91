"""Standard Webhooks: signed here and verified by the reference implementation, and the other way round."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks

from smidgen.core.errors import InputError, RequestError
from smidgen.desk.channels.standard_webhooks import checked_address, is_public, new_secret, secret_key, signed_headers, verify

SPEC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "desk.answered", "data": {"text": "é"}}, ensure_ascii=False).encode()


def test_the_specifications_example_has_its_signature() -> None:
    body = b'{"test": 2432232314}'
    headers = signed_headers([SPEC_SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_the_reference_takes_ours_and_we_take_its() -> None:
    secret = new_secret()
    theirs = standardwebhooks.Webhook(secret)
    assert theirs.verify(BODY, signed_headers([secret], "msg_1", BODY)) == json.loads(BODY)
    now = datetime.now(UTC)
    signature = theirs.sign("msg_2", now, BODY.decode())
    headers = {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert verify([secret], headers, BODY) == "msg_2"


def test_two_secrets_are_valid_while_one_is_changed() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers([old, new], "msg_1", BODY)
    assert headers["webhook-signature"].count("v1,") == 2
    assert verify([new], headers, BODY) == verify([old], headers, BODY) == verify([new_secret(), old], headers, BODY) == "msg_1"


def test_what_is_changed_old_or_unsigned_is_refused() -> None:
    secret = new_secret()
    good = signed_headers([secret], "msg_1", BODY)
    bad = [
        ({**good, "webhook-id": "msg_2"}, BODY),
        ({**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}, BODY),
        (good, BODY + b" "),
        ({**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}, BODY),
        ({**good, "webhook-signature": ""}, BODY),
        (signed_headers([new_secret()], "msg_1", BODY), BODY),
        (signed_headers([secret], "msg_1", BODY, time.time() - 301), BODY),
        (signed_headers([secret], "msg_1", BODY, time.time() + 302), BODY),
        ({**good, "webhook-timestamp": "NaN"}, BODY),
        ({}, BODY),
    ]
    refused = 0
    for headers, body in bad:
        with pytest.raises(RequestError, match="signature"):
            verify([secret], headers, body)
        refused += 1
    assert refused == 10
    with pytest.raises(RequestError):
        verify([], good, BODY)


def test_secrets_are_long_enough_and_not_shown() -> None:
    assert len(secret_key(new_secret())) == 32 and len(secret_key(SPEC_SECRET)) == 24
    for bad in ("whsec_", "whsec_c2hvcnQ=", SPEC_SECRET.removeprefix("whsec_"), "whsec_" + "QUJD" * 40):
        with pytest.raises(InputError) as caught:
            secret_key(bad)
        assert "c2hvcnQ" not in str(caught.value) and "MfKQ9" not in str(caught.value)


def test_addresses_are_https_or_of_this_machine() -> None:
    assert checked_address("https://hooks.example.com/a?b=1") and checked_address("http://127.0.0.1:8080/x")
    for bad in (
        "http://example.com",
        "ftp://x",
        "https://u:p@example.com",
        "https://",
        "https://a b",
        "//x",
        "https://x#f",
        "https://[::1",
    ):
        with pytest.raises(InputError, match="address of a webhook"):
            checked_address(bad)
    assert not any(is_public(host, 443) for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "192.168.1.1"))
    assert is_public("93.184.216.34", 443)
