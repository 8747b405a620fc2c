// Checks messages from stdin with the public verifier of npm: each of their secrets must do, and nothing else.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const messages = JSON.parse(readFileSync(0, "utf8"));
const refused = (secret, body, headers) => {
  try {
    new Webhook(secret).verify(body, headers);
    return false;
  } catch {
    return true;
  }
};
let failed = 0;
for (const { secrets, headers, body } of messages) {
  const other = messages.find((message) => message.body !== body).secrets[0];
  const wrong =
    secrets.some((secret) => refused(secret, body, headers)) ||
    !refused(secrets[0], body + " ", headers) ||
    !refused(other, body, headers);
  if (wrong) {
    failed += 1;
    console.error(`not as the verifier wants it: ${body}`);
  }
}
console.log(`${messages.length - failed} of ${messages.length} webhook messages verified`);
process.exit(failed || !messages.length ? 1 : 0);
