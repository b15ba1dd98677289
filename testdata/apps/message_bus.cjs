// An app that follows the message bus with the npm package message-bus-client.
// Run by a test:
//   node message_bus.cjs SITE KEY CHANNEL
// It prints each message of the channel, and each refusal, as one JSON object a line, until its input ends.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [site, key, channel] = process.argv.slice(2);
const say = (o) => console.log(JSON.stringify(o));

// The package is made for browsers: it looks for these by name, and for a way to send requests.
const browser = {
  XMLHttpRequest: class {},
  document: { hidden: false, visibilityState: "visible", addEventListener() {} },
  setTimeout, clearTimeout, console, Math, Date, JSON, parseInt, Object,
};
browser.self = browser.window = browser;
vm.runInNewContext(fs.readFileSync(path.join(path.dirname(require.resolve("message-bus-client/package.json")), "assets/message-bus.js"), "utf8"), browser);

const bus = browser.MessageBus;
bus.baseUrl = site + "/";
bus.headers = { "User-Api-Key": key };
bus.minPollInterval = 50;
bus.ajax = (o) => {
  fetch(o.url, { method: o.type, headers: { ...o.headers, "Content-Type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(o.data) })
    .then(async (r) => {
      if (r.status === 200) return o.success(await r.json());
      say({ refused: r.status });
      o.error({ status: r.status, getResponseHeader: (n) => r.headers.get(n) }, "error");
    }, () => o.error({ status: 0 }, "error"))
    .finally(() => o.complete());
  return { abort() {} };
};
bus.start();
bus.subscribe(channel, (data) => say({ data }), 0);

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
