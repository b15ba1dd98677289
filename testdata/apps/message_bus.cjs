// An app that follows the message bus with the npm package message-bus-client.
// Run by a test:
//   node message_bus.cjs SITE KEY CHANNEL
// It prints each message of the channel, and each refusal, as one JSON object a line, until its input ends.
//   node message_bus.cjs SITE KEY CHANNEL,CHANNEL MODE
// does so for several channels and tells which, and in which poll of its own it heard of it. The mode is how it polls:
// dlp (it does not wait), once (an answer for each message) or parts (the package's own way in a browser).
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [site, key, channels, mode] = process.argv.slice(2);
const say = (o) => console.log(JSON.stringify(o));

// The package is made for browsers: it looks for these by name, and for a way to send requests.
const browser = {
  XMLHttpRequest: class { onprogress = mode === "parts" ? null : undefined; },
  document: { hidden: false, visibilityState: "visible", addEventListener() {} },
  setTimeout, clearTimeout, console, Math, Date, JSON, parseInt, Object,
};
browser.self = browser.window = browser;
vm.runInNewContext(fs.readFileSync(path.join(path.dirname(require.resolve("message-bus-client/package.json")), "assets/message-bus.js"), "utf8"), browser);

const bus = browser.MessageBus;
let polls = 0;
bus.baseUrl = site + "/";
bus.headers = { "User-Api-Key": key };
bus.minPollInterval = 50;
if (mode) bus.callbackInterval = 100;
if (mode === "dlp") bus.enableLongPolling = false;
if (mode === "once") bus.enableChunkedEncoding = false;

// receive reads an answer in parts, and tells the package of each piece that comes, as an XMLHttpRequest does.
async function receive(o, r) {
  const xhr = { responseText: "", getResponseHeader: (n) => r.headers.get(n) };
  o.messageBus.onProgressListener(xhr);
  const decoder = new TextDecoder();
  for await (const piece of r.body) {
    xhr.responseText += decoder.decode(piece, { stream: true });
    xhr.onprogress();
  }
  return xhr.responseText;
}

// send sends a poll as jQuery would, and tells the package how it went.
async function send(o, signal) {
  try {
    const r = await fetch(o.url, { method: o.type, headers: { ...o.headers, "Content-Type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(o.data), signal });
    if (r.status !== 200) {
      say({ refused: r.status });
      return o.error({ status: r.status, getResponseHeader: (n) => r.headers.get(n) }, "error");
    }
    o.success(o.messageBus.chunked ? await receive(o, r) : await r.json());
  } catch {
    o.error({ status: 0 }, signal.aborted ? "abort" : "error");
  } finally {
    o.complete();
  }
}

bus.ajax = (o) => {
  polls++;
  const controller = new AbortController();
  send(o, controller.signal);
  return { abort() { controller.abort(); } };
};
for (const channel of channels.split(",")) {
  bus.subscribe(channel, (data, _, id) => say(mode ? { channel, id, poll: polls, data } : { data }), 0);
}
bus.start();

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
