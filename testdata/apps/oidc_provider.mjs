// The npm package oidc-provider as a site's OpenID provider. Run by a test:
//   node oidc_provider.mjs PORT CALLBACK
// It takes any password. It ends when its standard input does.
import { Provider } from "oidc-provider";

const [port, callback] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "userkeys", client_secret: "the secret of the site", redirect_uris: [callback] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"], email: ["email", "email_verified"] },
  conformIdTokenClaims: false, // the ID token has what the scopes name
  cookies: { keys: ["a key of this test"] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: "Ann \u00dcnal", preferred_username: "ann", groups: ["a,b", "regulars"],
      email: "ann@mail.example", email_verified: true,
    }),
  }),
});
const server = provider.listen(Number(port), "127.0.0.1", () => console.log(JSON.stringify({ issuer })));
process.stdin.resume().on("end", () => {
  server.closeAllConnections();
  server.close();
});
