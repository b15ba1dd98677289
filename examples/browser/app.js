// A page without a server: it asks its visitor for a key to one site, and calls the site with it.
const site = document.documentElement.dataset.site;
const here = location.origin + location.pathname; // the site must allow it as a redirect, and the origin in cors_origins
const $ = id => document.getElementById(id);
const sealing = {name: "RSA-OAEP", hash: "SHA-1"}; // SHA-1 is what padding=oaep means

// kept does something with what this browser keeps: "asked" is a private key and the nonce that was sent with its
// public half; "login" a private key and the sealed answer to it. The API key itself is never stored, and the
// private key is one that no script can read, ours neither.
function kept(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("userkeys-example");
    opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const request = act(opening.result.transaction("kept", mode).objectStore("kept"));
      request.onsuccess = () => { opening.result.close(); resolve(request.result); };
      request.onerror = () => reject(request.error);
    };
  });
}
const recall = name => kept("readonly", store => store.get(name));
const keep = (name, value) => kept("readwrite", store => store.put(value, name));
const forget = name => kept("readwrite", store => store.delete(name));

function encode(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

async function connect() {
  const pair = await crypto.subtle.generateKey({...sealing, modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1])}, false, ["decrypt"]);
  const spki = encode(await crypto.subtle.exportKey("spki", pair.publicKey));
  const nonce = crypto.randomUUID();
  const clientId = await recall("client id") ?? crypto.randomUUID(); // one for this browser: a new key replaces the old
  await keep("client id", clientId);
  await keep("asked", {privateKey: pair.privateKey, nonce});
  location.assign(site + "/user-api-key/new?" + new URLSearchParams({
    application_name: "What is new", client_id: clientId, scopes: "notifications,session_info", nonce, padding: "oaep",
    public_key: `-----BEGIN PUBLIC KEY-----\n${spki.match(/.{1,64}/g).join("\n")}\n-----END PUBLIC KEY-----\n`, auth_redirect: here,
  }));
}

// open gives what is in the site's sealed answer.
async function open(privateKey, sealed) {
  const bytes = Uint8Array.from(atob(sealed), c => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt(sealing, privateKey, bytes)));
}

// comeBack takes the answer out of the address, where histories and shoulders would read it.
async function comeBack(sealed) {
  history.replaceState(null, "", here);
  const asked = await recall("asked");
  // Without these checks somebody's link could make this page work on their account.
  const answer = asked && await open(asked.privateKey, sealed).catch(() => null);
  if (!answer || answer.nonce !== asked.nonce) throw new Error("This answers another request. Connect again.");
  await keep("login", {privateKey: asked.privateKey, sealed});
  await forget("asked");
}

// call asks the site. Its refusals are errors; that of a dead key also forgets it. Discourse gives that one no reason, but the
// key has the scopes for all that this page asks. A 403 without a type is not the site's, but a firewall's.
async function call(key, method, path) {
  const response = await fetch(site + path, {
    method, headers: {"User-Api-Key": key, "Accept": "application/json"}, credentials: "omit", redirect: "error", cache: "no-store",
  }).catch(() => { throw new Error("The site cannot be reached, or does not let this page call it."); });
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 403 && body.error_type === "invalid_access" && (body.reason ?? "invalid key") === "invalid key") {
    await forget("login");
    throw new Error("The site no longer takes the key: it was revoked or has ended. Connect again.");
  }
  const wait = response.headers.get("Retry-After");
  throw new Error(`The site refused (${response.status}): ${body.reason ?? ""}` + (wait ? ` Try again in ${wait} seconds.` : ""));
}

async function showNews(key) {
  const session = await call(key, "GET", "/session/current.json");
  const {notifications} = await call(key, "GET", "/notifications.json?limit=20");
  $("said").textContent = `You are ${session.current_user.username}.`;
  $("list").replaceChildren(...notifications.map(n => {
    const item = document.createElement("li");
    // As text: what people wrote on the site must not become part of this page.
    item.textContent = `${n.read ? "" : "new: "}${n.data?.topic_title ?? n.slug ?? ""} (${n.data?.display_username ?? n.notification_type})`;
    return item;
  }));
}

async function logout(key) {
  await call(key, "POST", "/user-api-key/revoke.json");
  await forget("login");
  $("said").textContent = "Logged out. The key is of no use to anybody now.";
}

// during runs a step, tells what went wrong, and shows what can be done next.
async function during(step) {
  $("connect").hidden = $("logout").hidden = true;
  try {
    await step();
  } catch (e) {
    $("said").textContent = e.message;
  }
  const login = await recall("login");
  $("connect").hidden = Boolean(login);
  $("logout").hidden = !login;
  if (!login) $("list").replaceChildren();
}

async function withKey(step) {
  const login = await recall("login");
  if (login) await step((await open(login.privateKey, login.sealed)).key);
}

$("connect").addEventListener("click", () => during(connect));
$("logout").addEventListener("click", () => during(() => withKey(logout)));
const sealed = new URLSearchParams(location.search).get("payload");
await during(async () => {
  if (sealed) await comeBack(sealed);
  await withKey(showNews);
});
