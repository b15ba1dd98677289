"""What a website adds so that its users can give apps keys: they sign in here, and requests with a key name them."""
import base64, hashlib, hmac, os
from urllib.parse import parse_qs, unquote, urlencode

HERE = os.environ["SITE_URL"] + "/user-api-key/login/site/callback"


def sign(text):
    return hmac.new(os.environ["SSO_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()


def answer(sso, sig, user):
    """Where to send the browser of user, who is signed in; None if the request is not from userkeys."""
    if not hmac.compare_digest(sign(sso).encode(), sig.encode()):
        return None
    asked = parse_qs(base64.b64decode(sso).decode())
    if asked.get("return_sso_url") != [HERE]:
        return None
    reply = {"nonce": asked["nonce"][0], "return_sso_url": HERE,
             "external_id": user["id"], "username": user["name"]}
    sso = base64.b64encode(urlencode(reply).encode()).decode()
    return HERE + "?" + urlencode({"sso": sso, "sig": sign(sso)})


def caller(headers):
    """The id of the user whose key the request has, or None."""
    if not headers.get("X-Userkeys-Key-Id"):
        return None
    return unquote(headers.get("X-Userkeys-External-Id", ""))
