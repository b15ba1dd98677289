// A receiver of pushes that verifies with the npm package standardwebhooks. Run by a test:
//   node standard_webhooks.cjs
// It reads a push in each line, {"secret","headers","body"}, and prints what the package says of it.
"use strict";

const readline = require("node:readline");
const { Webhook } = require("standardwebhooks");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { secret, headers, body } = JSON.parse(line);
  let said;
  try {
    said = { verified: new Webhook(secret).verify(body, headers) };
  } catch (e) {
    said = { refused: e.message };
  }
  console.log(JSON.stringify(said));
});
