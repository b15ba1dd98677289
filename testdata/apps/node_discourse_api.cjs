// An app that uses the npm package node-discourse-api. Run by a test:
//   node node_discourse_api.cjs SITE
// It prints the address to open, reads the payload from standard input, and
// prints what it got from the site, one JSON object a line.
"use strict";

const readline = require("node:readline");
const { DiscourseApi } = require("node-discourse-api");

const say = (o) => console.log(JSON.stringify(o));
const status = (promise) => promise.then(() => 200, (e) => e.status ?? String(e));

async function main() {
  const api = new DiscourseApi(process.argv[2]);
  const asked = api.generateUserApiKeySync({ application_name: "node-discourse-api", scopes: "read,session_info" });
  say({ url: asked.url });

  const lines = readline.createInterface({ input: process.stdin });
  const [payload] = await require("node:events").once(lines, "line");
  lines.close();
  const opened = api.decryptUserApiKey(asked.private_key, payload);
  say({ nonceIsRight: opened.nonce === asked.nonce, api: opened.api, push: opened.push, members: Object.keys(opened).sort() });

  api.options.user_api_key = opened.key;
  say({ me: (await api._request("/session/current")).current_user.username });
  say({ site: await api.getSite() });
  say({ latest: await api.getLatest({ order: "created" }) });
  say({ write: await status(api.createTopicPostPM({ raw: "hello", topic_id: 1 })) });
  say({ revoke: await api.revokeUserApiKey() });
  say({ afterwards: await status(api.getLatest()) });
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
