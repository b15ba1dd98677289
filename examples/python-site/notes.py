"""A small website with users and sessions of its own: people write notes.

The file userkeys.py and the lines that end in "# userkeys" are all that it adds so that its users can give apps keys.
"""
import hashlib, hmac, html, json, os, secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import userkeys  # userkeys


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1)


def new_user(id, name, password):
    salt = secrets.token_bytes(16)
    return {"id": id, "name": name, "salt": salt, "hash": hashed(password, salt), "notes": []}


USERS = [new_user("17", "ann", "ann keeps bees"), new_user("18", "ben", "ben bakes bread")]
SESSIONS = {}  # the id of the user, by the cookie
NOBODY = new_user("", "", secrets.token_hex())

LOGIN = """<!DOCTYPE html><html lang="en"><title>Notes: sign in</title><h1>Sign in to Notes</h1><p>%s</p>
<form method="post" action="/login"><input type="hidden" name="next" value="%s">
<label>Name <input name="name" value=""></label> <label>Password <input type="password" name="password" value=""></label>
<button>Sign in</button></form></html>"""


class Notes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def user(self):
        """Who sends the request, or None."""
        id = userkeys.caller(self.headers)  # userkeys
        if id is None:  # userkeys
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("notes_session")
            id = SESSIONS.get(cookie.value) if cookie else None
        return next((u for u in USERS if u["id"] == id), None)

    def do_GET(self):
        address, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        user = self.user()
        if address.path == "/login":
            self.page(200, LOGIN % ("", html.escape(query.get("next", ["/"])[0])))
        elif user is None and address.path.endswith(".json"):
            self.json(401, {"error": "sign in, or send a key"})
        elif user is None:
            self.redirect("/login?next=" + quote(self.path, safe=""))
        elif address.path == "/sso":  # userkeys
            to = userkeys.answer(query.get("sso", [""])[0], query.get("sig", [""])[0], user)  # userkeys
            self.redirect(to) if to else self.page(400, "This is no request of userkeys.")  # userkeys
        elif address.path == "/notes.json":
            self.json(200, {"user": user["name"], "notes": user["notes"]})
        else:
            notes = "".join("<li>" + html.escape(n) for n in user["notes"])
            self.page(200, "<!DOCTYPE html><title>Notes</title><h1>Notes of %s</h1><ul>%s</ul>" % (user["name"], notes))

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 10_000)).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":  # a form of another site
            self.page(403, "This form is not ours.")
        elif self.path == "/login":
            self.login(form)
        elif self.path == "/notes.json" and self.user():
            self.user()["notes"].append(form.get("text", ""))
            self.json(200, {"success": True})
        else:
            self.json(401, {"error": "sign in, or send a key"})

    def login(self, form):
        user = next((u for u in USERS if u["name"] == form.get("name")), NOBODY)
        to = form.get("next", "/")
        if not to.startswith("/") or to[1:2] in ("/", "\\"):
            to = "/"
        if not hmac.compare_digest(hashed(form.get("password", ""), user["salt"]), user["hash"]):
            self.page(403, LOGIN % ("The name or the password is wrong.", html.escape(to)))
            return
        session = secrets.token_urlsafe(32)
        SESSIONS[session] = user["id"]
        secure = "; Secure" if os.environ["SITE_URL"].startswith("https:") else ""
        self.redirect(to, "notes_session=%s; Path=/; HttpOnly; SameSite=Lax%s" % (session, secure))

    def redirect(self, to, cookie=None):
        self.answer(303, "text/plain", "", [("Location", to)] + ([("Set-Cookie", cookie)] if cookie else []))

    def page(self, status, text):
        self.answer(status, "text/html; charset=utf-8", text)

    def json(self, status, value):
        self.answer(status, "application/json", json.dumps(value))

    def answer(self, status, kind, text, headers=()):
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(text.encode()))),
                            ("Cache-Control", "no-store"), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Writes nothing: addresses have what only the browser should know."""


host, port = os.environ.get("SITE_LISTEN", "127.0.0.1:3000").rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), Notes).serve_forever()
