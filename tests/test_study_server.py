"""The study's server: real processes and real HTTP."""

import asyncio
import contextlib
import json
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import chain

import httpx
import numpy as np
import pytest

from repro.datasets.world import WorldSource
from repro.study import guards
from repro.study.database import read_rows
from repro.study.guards import names_of, stranger
from repro.study.server import Limits
from repro.study.serving import ServeError, link, listen, network_address, qr_code, serving
from repro.study.stimuli import build_study
from repro.study.store import Store

DISPLAY_MS = 20
SEEN_S = 2 * DISPLAY_MS / 1000


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("study"))


def small_study(folder, practice=2, pairs=10):
    """Pictures of 64 pixels shown for 20 ms."""
    truth = WorldSource().bulk("val", size=64, limit=14)[0]
    methods = {"inverse": truth[..., ::-1].copy(), "pale": truth // 2 + 64}
    return build_study(folder, truth, methods, practice=practice, pairs=pairs, display_ms=DISPLAY_MS, size=64)


@pytest.fixture
def serve(study, tmp_path):
    """From limits to an httpx client of a server in a thread."""
    with contextlib.ExitStack() as stack:

        def start(**limits):
            store = Store(tmp_path / "answers.sqlite", study, "human")
            stack.callback(store.close)
            address = stack.enter_context(serving(store, limits=Limits(**limits)))
            return stack.enter_context(httpx.Client(base_url=address, timeout=60))

        yield start


def join(client):
    reply = client.post("/api/join", json={"consent": True, "form": "phone"})
    assert reply.status_code == 201, reply.text
    return {"Authorization": f"Bearer {reply.json()['token']}"}, reply.json()


def answer_of(state, index=0, **changed):
    answer = {
        "number": state["number"],
        "choice": state["pictures"][index],
        "shown_ms": [20.0, 20.1],
        "reaction_ms": 300,
    }
    return {**answer, "reshown": 0, **changed}


def look(client, rater, state):
    for address in state["pictures"]:
        assert client.get(f"/api/picture/{address}", headers=rater).status_code == 200
    time.sleep(SEEN_S)


# ---- what is served, and what is not ----


def test_every_reply_forbids_what_the_page_does_not_need(serve):
    client = serve()
    for path in ("/", "/study.js", "/study.css", "/api/study", "/api/state", "/nothing"):
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
        assert policy["frame-ancestors"] == "'self' http://localhost:* http://127.0.0.1:*"
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store" and "server" not in headers
    page = client.get("/").text
    assert "http" not in page and "style=" not in page and not re.search(r" on\w+=", page)


@pytest.mark.parametrize(
    "path",
    [
        "/study.json",
        "/store.py",
        "/static/study.js",
        "/../store.py",
        "/..%2fstore.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/api/picture/..%2f..%2fstudy.json",
        "/api/picture/../../study.json",
        "/pictures/",
        "/simulated.sqlite",
    ],
)
def test_nothing_else_is_served(serve, path):
    client = serve()
    rater, _ = join(client)
    with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:  # as written
        raw.sendall(f"GET {path} HTTP/1.0\r\nAuthorization: {rater['Authorization']}\r\n\r\n".encode())
        reply = b"".join(iter(lambda: raw.recv(65536), b""))
    assert reply.split(b" ")[1] in (b"404", b"403")
    assert set(json.loads(reply.partition(b"\r\n\r\n")[2])) == {"error"}


def test_no_reply_tells_which_picture_is_the_fake(serve, study):
    """Over whole sittings, truth and fake answer alike.

    Keys, lengths and headers are the same, and the first address is the fake as often as the second.
    """
    client = serve()
    seen, pictures = set(), []
    for _ in range(6):
        rater, state = join(client)
        assert set(state) == {
            "token",
            "finished",
            "number",
            "practice",
            "position",
            "of",
            "pictures",
            "ahead",
        }
        while not state["finished"]:
            for address in state["pictures"]:
                reply = client.get(f"/api/picture/{address}", headers=rater)
                pictures.append((len(reply.content), tuple(sorted(set(reply.headers) - {"date"}))))
                assert reply.headers["Cache-Control"] == "no-store" and "etag" not in reply.headers
                seen.add(address)
            time.sleep(SEEN_S)
            reply = client.post("/api/answer", json=answer_of(state), headers=rater).json()
            assert (reply["recoloured"] in (0, 1)) if state["practice"] else reply["recoloured"] is None
            state = reply["state"]
    assert len(set(pictures)) == 1
    assert len(seen) == 6 * 12 * 2  # an address is never used twice, nor is it a file's name
    assert not seen & {file.stem for file in (study.folder / "pictures").iterdir()}


# ---- what is refused ----


def test_to_join_one_must_agree(serve):
    client = serve()
    assert client.post("/api/join", json={}).status_code == 422
    assert client.post("/api/join", json={"consent": "yes"}).status_code == 422
    assert client.post("/api/join", content="consent=true").status_code == 415  # as another site's form could
    assert client.get("/api/join").status_code == 405


def test_a_stranger_gets_nothing(serve):
    client = serve()
    _, state = join(client)
    for headers in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic bm9ib2R5Og=="}):
        assert client.get("/api/state", headers=headers).status_code == 401
        assert client.get(f"/api/picture/{state['pictures'][0]}", headers=headers).status_code == 401
        assert client.post("/api/answer", json=answer_of(state), headers=headers).status_code == 401


def test_foreign_and_later_pictures_are_refused(serve, tmp_path):
    client = serve()
    rater, state = join(client)
    _, other = join(client)
    later = sqlite3.connect(tmp_path / "answers.sqlite").execute("SELECT first, second FROM trials WHERE number > 2")
    for address in [*other["pictures"], *chain(*later), "0" * 32]:
        reply = client.get(f"/api/picture/{address}", headers=rater)
        if reply.status_code == 429:
            time.sleep(1)
            reply = client.get(f"/api/picture/{address}", headers=rater)
        assert reply.status_code == 403 and "current pair" in reply.json()["error"]
    assert client.get(f"/api/picture/{state['ahead'][1]}", headers=rater).status_code == 200


def test_answers_are_checked_against_what_was_shown(serve, tmp_path, study):
    client = serve()
    rater, state = join(client)
    send = lambda answer: client.post("/api/answer", json=answer, headers=rater)
    assert send(answer_of(state)).status_code == 425  # nothing was looked at
    look(client, rater, state)
    wrong = [
        {"number": 2},
        {"number": 0},
        {"number": "1"},
        {"number": True},
        {"number": 1e300},
        {"choice": state["ahead"][0]},
        {"choice": "first"},
        {"choice": None},
        {"shown_ms": [1]},
        {"shown_ms": ["1", "2"]},
        {"shown_ms": [-1, 5]},
        {"reaction_ms": None},
        {"reaction_ms": 1e12},
        {"reshown": -1},
        {"reshown": 1 << 70},
    ]
    for changed in wrong:
        assert send(answer_of(state, **changed)).status_code in (409, 422), changed
    text = json.dumps(answer_of(state)).replace("300", "NaN")
    headers = {**rater, "Content-Type": "application/json"}
    assert client.post("/api/answer", content=text, headers=headers).status_code == 422
    assert read_rows(tmp_path / "answers.sqlite", study) == []

    first = send(answer_of(state))
    again = send(answer_of(state))
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    changed = send(answer_of(state, index=1))
    assert changed.status_code == 409 and "cannot be changed" in changed.json()["error"]
    rows = read_rows(tmp_path / "answers.sqlite", study)
    assert len(rows) == 1 and rows[0]["first_ms"] == 20.0 and rows[0]["form"] == "phone"


def test_a_body_that_is_no_answer_is_refused(serve):
    client = serve()
    rater, _ = join(client)
    headers = {**rater, "Content-Type": "application/json"}
    send = lambda content: client.post("/api/answer", content=content, headers=headers).status_code
    assert send(b"x" * 5000) == 413
    assert send(iter([b"[" * 1000] * 20)) == 413  # no length announced
    assert send(b"[" * 4000) == 400 and send(b"\xff\xfe") == 400 and send(b"[]") == 400
    for length in (9000, 40000):
        assert client.get("/api/state", headers={**rater, "X-Long": "x" * length}).status_code in (400, 431)
    assert client.get("/api/state", headers=rater).json()["number"] == 1


def test_rates_are_limited(serve):
    client = serve(joins_per_minute=3, requests_per_second=1, burst=5)
    (rater, _), (other, _), _ = (join(client) for _ in range(3))
    reply = client.post("/api/join", json={"consent": True})
    assert reply.status_code == 429 and reply.headers["Retry-After"]
    codes = Counter(client.get("/api/state", headers=rater).status_code for _ in range(12))
    assert 5 <= codes[200] <= 7 and codes[429] >= 5
    assert client.get("/api/state", headers=other).status_code == 200


def test_a_class_behind_one_address_can_join(serve):
    client = serve()
    for _ in range(60):
        join(client)


def test_a_full_study_says_so(serve):
    client = serve(raters=1)
    rater, _ = join(client)
    reply = client.post("/api/join", json={"consent": True})
    assert reply.status_code == 403 and "closed" in reply.json()["error"]
    assert client.get("/api/state", headers=rater).status_code == 200  # who is in may finish


def test_a_disk_that_takes_nothing_is_said_and_nothing_is_acknowledged(serve, tmp_path, study):
    client = serve()
    rater, state = join(client)
    look(client, rater, state)
    blocker = sqlite3.connect(tmp_path / "answers.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_keep", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk is full")))
        reply = client.post("/api/answer", json=answer_of(state), headers=rater)
    assert reply.status_code == 503 and "sent again" in reply.json()["error"]
    assert blocker.execute("SELECT COUNT(*) FROM answers").fetchone()[0] == 0
    assert client.post("/api/answer", json=answer_of(state), headers=rater).status_code == 200


# ---- where it listens ----


# ---- made to do harm ----


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "10.1.2.3:{port}", "localhost.evil.example", "", "[", "a b"]
)
def test_a_name_that_leads_here_by_deceit_is_refused(serve, host):
    client = serve()
    for method, path in (("GET", "/"), ("GET", "/api/study"), ("POST", "/api/join")):
        reply = client.request(method, path, headers={"Host": host.format(port=client.base_url.port)})
        assert reply.status_code in (400, 403) and "token" not in reply.text
    assert not client.get("/api/study", headers={"Host": "LOCALHOST.:9"}).is_error, "a tunnel's own port"
    assert not client.get("/api/study", headers={"Host": "[::ffff:127.0.0.1]"}).is_success


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_takes_no_part(serve, headers):
    client = serve()
    reply = client.post("/api/join", json={"consent": True}, headers=headers)
    assert reply.status_code == 403 and "only the study's own page" in reply.json()["error"]
    assert client.get("/", headers=headers).status_code == 200, "a link may lead to the first page"
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/join", json={"consent": True}, headers=own).status_code == 201


def test_the_name_of_a_proxy_is_known():
    assert names_of("0.0.0.0", "https://study.example/x") == {"localhost", "0.0.0.0", "study.example"}
    scope = {"path": "/api/join", "server": ("127.0.0.1", 80)}
    headers = lambda host, origin: [(b"host", host), (b"origin", origin)]
    names = names_of("127.0.0.1", "https://study.example")
    assert stranger(scope | {"headers": headers(b"study.example", b"https://study.example")}, names) is None
    assert stranger(scope | {"headers": headers(b"study.example", b"https://other.example")}, names)
    assert stranger(scope | {"headers": [(b"host", b"localhost")] * 2}, names), "two names are none"
    assert stranger(scope | {"headers": []}, names)


HALVES = {
    "nothing": b"",
    "half a head": b"GET /api/study HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a body": b"POST /api/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 50\r\n\r\n{"consent',
    "half a body that nobody reads": b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nx",
    "half a second request": b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


def until_closed(connection, seconds):
    """What a server sends until it closes; fails where it does not in time."""
    connection.settimeout(seconds)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("drip", [False, True])
def test_half_a_request_is_not_waited_for(serve, monkeypatch, half, drip):
    monkeypatch.setattr(guards, "REQUEST_S", 0.5)
    client, began = serve(), time.monotonic()
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(HALVES[half])
        if "second" in half:
            assert connection.recv(65536).startswith(b"HTTP/1.1 404")
            connection.sendall(b"GET /api/st")
        for _ in range(8 * drip):  # a byte now and then does not set the clock back
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
        until_closed(connection, 15)
    assert time.monotonic() - began < 15
    assert client.get("/api/study").status_code == 200


def test_a_thousand_half_open_requests_keep_nobody_out(serve):
    client, opened = serve(), []
    place = client.base_url.host, client.base_url.port
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        for number in range(1010):
            opened.append(socket.create_connection(place))
            opened[-1].sendall(list(HALVES.values())[number % len(HALVES)])
        began = time.monotonic()
        with httpx.Client(base_url=client.base_url, timeout=60) as newcomer:
            assert join(newcomer)[1]["token"]
        assert time.monotonic() - began < 15
    finally:
        for connection in opened:
            connection.close()


def test_a_slow_answer_is_not_cut_and_a_connection_is_used_again(serve, monkeypatch, study):
    """The clock is that of what is sent to the server, not of its answers or of the time between requests."""
    monkeypatch.setattr(guards, "REQUEST_S", 1.0)
    client, real = serve(), Store.join

    def slow(*arguments):
        time.sleep(1.5)
        return real(*arguments)

    monkeypatch.setattr(Store, "join", slow)
    rater, state = join(client)
    time.sleep(1.5)
    assert client.get("/api/state", headers=rater).json()["number"] == state["number"] == 1


def test_it_binds_to_this_machine_unless_told_otherwise():
    with listen(port=0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ServeError, match=r"is busy.*--port"):
            listen(port=listener.getsockname()[1])
    with listen("0.0.0.0", 0) as listener:
        assert link(listener) == f"http://{network_address()}:{listener.getsockname()[1]}/"
    with pytest.raises(ServeError, match="cannot listen on 203.0.113.7"):
        listen("203.0.113.7", 0)
    assert len(qr_code("http://127.0.0.1:8765/").splitlines()) > 10


# ---- sixty at once, and a server that is killed ----


class Process:
    """python -m repro study serve, which can be killed and started again on the same port."""

    def __init__(self, study, store):
        self.command = [sys.executable, "-m", "repro", "study", "serve", "--folder", str(study.folder)]
        self.command += ["--store", str(store), "--port"]
        self.port = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.command, str(self.port)], stdout=subprocess.PIPE, text=True)
        lines = iter(self.process.stdout.readline, "")
        self.address = next(line.split()[1] for line in lines if line.startswith("open "))
        self.port = int(self.address.rstrip("/").rpartition(":")[2])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def request(client, method, path, **options):
    """As the page does: again and again until the server is back."""
    while True:
        try:
            reply = await client.request(method, path, **options)
            if reply.status_code < 500 and reply.status_code not in (425, 429):
                return reply
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


async def sit(client, rng, acknowledged):
    """One rater to the end; {(token, number): address chosen} of what was acknowledged."""
    state = (await request(client, "POST", "/api/join", json={"consent": True})).json()
    token = state["token"]
    rater = {"Authorization": f"Bearer {token}"}
    while not state["finished"]:
        for address in state["pictures"]:
            reply = await request(client, "GET", f"/api/picture/{address}", headers=rater)
            assert reply.status_code == 200, reply.text
        await asyncio.sleep(SEEN_S)
        answer = answer_of(state, int(rng.integers(2)))
        reply = await request(client, "POST", "/api/answer", json=answer, headers=rater)
        assert reply.status_code == 200, reply.text
        acknowledged[token, answer["number"]] = answer["choice"]
        state = reply.json()["state"]
        assert state["finished"] or state["number"] == answer["number"] + 1  # never from zero


async def rater_at(address, rng, acknowledged):
    async with httpx.AsyncClient(base_url=address, timeout=60, verify=False) as client:
        await sit(client, rng, acknowledged)


async def class_of(address, raters, acknowledged):
    rng = np.random.default_rng(0)
    await asyncio.gather(*(rater_at(address, rng, acknowledged) for _ in range(raters)))


def test_sixty_raters_and_a_server_killed_in_the_middle(tmp_path):
    """No acknowledged answer is lost, nobody starts again, and nothing is counted twice."""
    study = small_study(tmp_path / "study", practice=1, pairs=5)
    raters, planned = 60, 60 * study.trials
    server, acknowledged, killed_at = Process(study, tmp_path / "answers.sqlite"), {}, []

    def kill_once():
        while len(acknowledged) < planned / 2:
            time.sleep(0.01)
        server.kill()
        killed_at.append(len(acknowledged))
        server.start()

    killer, began = threading.Thread(target=kill_once, daemon=True), time.monotonic()
    killer.start()
    try:
        asyncio.run(asyncio.wait_for(class_of(server.address, raters, acknowledged), 300))
    finally:
        seconds = time.monotonic() - began
        killer.join(60)
        server.kill()
    db = sqlite3.connect(tmp_path / "answers.sqlite")
    query = "SELECT rater, number, CASE choice WHEN 0 THEN first ELSE second END "
    query += "FROM answers JOIN trials USING (rater, number)"
    kept = Counter(choice for *_, choice in db.execute(query))
    lost = set(acknowledged.values()) - set(kept)
    print(f"{raters} raters, {len(kept)} answers, killed at {killed_at[0]}, lost {len(lost)}, {seconds:.1f} s")
    assert not lost and set(kept.values()) == {1}
    assert len(kept) == len(acknowledged) == planned and len(killed_at) == 1
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    joined = db.execute("SELECT COUNT(*) FROM raters WHERE id IN (SELECT rater FROM answers)").fetchone()[0]
    assert joined == raters
