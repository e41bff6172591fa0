# SPDX-License-Identifier: MIT
"""What a server says that became of which message is believed only where it can be true.

A COPYUID in another order had each message paired with the copy of another one: a flag or a deletion
of the one then hit the other.  One that left messages out had them copied once more.
"""

import pytest

from .inline import digests, eventually, numbered

FROM, TO, MOVED = 6, 3, 4       # messages; those that are moved become 4:7 of "to"

LIES = {
    "missing": b"OK done",
    "swapped": b"OK [COPYUID %d 1:4 5,4,7,6] done",
    "reversed": b"OK [COPYUID %d 1,2,3,4 7,6,5,4] done",
    "short": b"OK [COPYUID %d 1:2 4:5] done",
    "not as many": b"OK [COPYUID %d 1:4 4:6] done",
    "overlong": b"OK [COPYUID %d 1:4294967295 1:4294967295] done",
    "of known messages": b"OK [COPYUID %d 1:4 1:4] done",
    "of other messages": b"OK [COPYUID %d 11:14 4:7] done",
    "twice": b"OK [COPYUID %d 1:4 4,4,4,4] done",
    "of another mailbox": b"OK [COPYUID 7 1:4 4:7] done",
    "beyond 32 bits": b"OK [COPYUID %d 1:4 4294967296:4294967299] done",
}
SAMPLE = {"missing", "swapped", "short", "of known messages"}


def _wants(verb, lie):
    return pytest.param(verb, lie, id=f"{verb}, {lie}",
                        marks=() if lie in SAMPLE and verb == "COPY" else pytest.mark.full)


def _lie(service, verb, answer):
    with service.there() as there:
        answer = answer.replace(b"%d", b"%d" % there.status("to")["UIDVALIDITY"])
    if verb == "MOVE":      # which tells it ahead of its answer
        service.relay.drop(r"\* OK \[COPYUID")
        service.relay.add("UID MOVE", b"* " + answer, times=100)
    else:
        service.relay.reword("UID COPY", answer, times=100)


@pytest.mark.parametrize("when", ["online", pytest.param("stopped", marks=pytest.mark.full)])
@pytest.mark.parametrize("verb, lie", [_wants(verb, lie) for verb in ("COPY", "MOVE") for lie in LIES])
def test_copyuid(verb, lie, when, make):
    """By what a client does at the proxy; and as a run finds it that looks at both sides."""
    service = make({"from": FROM, "to": TO}, hidden=("MOVE",) if verb == "COPY" else ())
    _lie(service, verb, LIES[lie])
    if when == "stopped":
        service.stop()
    with (service.store() if when == "stopped" else service.client()) as client:
        client.select("from")
        client.cmd("UID MOVE 1:4 to")
    if when == "stopped":
        service.begin()
    moved = digests(list(numbered("from", FROM)))
    expected = {"from": moved[MOVED:], "to": moved[:MOVED] + digests(list(numbered("to", TO)))}
    if lie != "beyond 32 bits":     # that is not IMAP, and costs the connection
        eventually(lambda: "UID " + verb in "\n".join(service.relay.sent), 30, service.running.err())
    service.settle(expected)
