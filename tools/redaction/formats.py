"""Numbers that have a form: cards, IBANs, telephones, identity numbers, addresses of machines. Checksums hold where there are any."""

from __future__ import annotations

import random
import string

from tools.redaction.words import listed

_AMERICAN = 18
"""So many of the forms of telephone numbers, the first, are American."""


def filled(form: str, rng: random.Random) -> str:
    """`#` is a digit, `@` a capital letter; a number does not begin with 0 where its first sign is `#`."""
    out = "".join(
        rng.choice(string.digits) if sign == "#" else rng.choice(string.ascii_uppercase) if sign == "@" else sign for sign in form
    )
    return rng.choice("123456789") + out[1:] if form.startswith("#") and out[0] == "0" else out


def card(rng: random.Random) -> str:
    """A payment card's number whose check digit holds, in one of the ways it is written."""
    start, _, length = rng.choice(listed("cards")).partition(":")
    digits = start + "".join(rng.choice(string.digits) for _ in range(int(length) - len(start) - 1))
    total = sum(int(digit) * 2 - 9 * (int(digit) > 4) if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(digits)))
    digits += str(-total % 10)
    if rng.random() < 0.5:
        return digits
    sign = rng.choice("  - -.")
    if len(digits) == 15:
        return sign.join((digits[:4], digits[4:10], digits[10:]))
    return sign.join(digits[at : at + 4] for at in range(0, len(digits), 4))


def iban(rng: random.Random, country: str = "") -> str:
    """An IBAN whose check digits hold, in one of the ways it is written."""
    among = dict(entry.split(":") for entry in listed("ibans"))
    country = country if country in among else rng.choice(list(among))
    form, body, number = among[country], "", ""
    for sign in form:
        if sign.isdigit():
            number += sign
            continue
        letters = {"n": string.digits, "a": string.ascii_uppercase, "c": string.ascii_uppercase + string.digits * 3}[sign]
        body, number = body + "".join(rng.choice(letters) for _ in range(int(number))), ""
    check = 98 - int("".join(str(int(sign, 36)) for sign in body + country + "00")) % 97
    code = f"{country}{check:02d}{body}"
    way = rng.random()
    if way < 0.5:
        return code
    grouped = " ".join(code[at : at + 4] for at in range(0, len(code), 4))
    return grouped if way < 0.9 else grouped.replace(" ", "-") if way < 0.94 else code.lower()


def ssn(rng: random.Random) -> str:
    """A US social security number, in one of the ways it is written."""
    area = rng.choice([n for n in range(1, 900) if n != 666])
    sign = rng.choice(("-", "-", "-", "-", " ", "", "."))
    return sign.join((f"{area:03d}", f"{rng.randint(1, 99):02d}", f"{rng.randint(1, 9999):04d}"))


def phone(rng: random.Random) -> str:
    """A telephone number of somewhere."""
    phones = listed("phones")
    return filled(rng.choice(phones[:_AMERICAN] if rng.random() < 0.45 else phones), rng)


def ip(rng: random.Random) -> str:
    """An address of a machine: mostly version 4."""
    if rng.random() < 0.75:
        return ".".join(str(rng.randint(1, 254)) for _ in range(4))
    groups = [f"{rng.randrange(65536):x}" for _ in range(8)]
    if rng.random() < 0.4:
        at = rng.randint(1, 5)
        groups[at : at + 2] = [""]
    return ":".join(groups)
