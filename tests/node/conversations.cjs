// Use the service through the official SDK for Node, as an application would, and stop at the first surprise.
// Input (standard input): {items: {kind: item}, included: [{value, item}], strings: [text]}.
// Output: a line of JSON for each thing the SDK gave, {model, value}, for a judge of its shape; the last line counts.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const OpenAI = require("openai");

const MANY = 1010;
const { items, included, strings } = JSON.parse(fs.readFileSync(0, "utf8"));
const count = { calls: 0, checks: 0, values: 0 };

const client = new OpenAI({
  fetch: (url, init) => {
    count.calls += 1;
    return fetch(url, init);
  },
});

function check(actual, expected, what) {
  count.checks += 1;
  assert.deepEqual(actual, expected, what);
}

function give(model, value) {
  count.values += 1;
  process.stdout.write(`${JSON.stringify({ model, value })}\n`);
  return value;
}

async function collect(page) {
  const all = [];
  for await (const one of page) all.push(one);
  return all;
}

const text = (item) => item.content[0].text;

async function refused(call, kind, expected) {
  const before = count.calls;
  const error = await call().then(
    () => assert.fail(`not refused: ${JSON.stringify(expected)}`),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, `${error}`);
  check(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
  check({ status: error.status, code: error.code, param: error.param, type: error.type }, expected);
  assert.match(error.requestID, /^req_[0-9a-f]{32}$/);
  // The SDK tries twice more where it may; here nothing is cured by that.
  check(count.calls - before, 1, "it was tried again");
}

async function theEightEndpoints() {
  const { conversations } = client;
  const created = give("Conversation", await conversations.create({ metadata: { topic: "demo" }, items: [{ role: "user", content: "Hello" }] }));
  check([created.object, created.metadata], ["conversation", { topic: "demo" }]);
  assert.match(created.id, /^conv_[0-9a-f]{48}$/);
  check(give("Conversation", await conversations.retrieve(created.id)), created);
  const updated = give("Conversation", await conversations.update(created.id, { metadata: { topic: "other" } }));
  check([updated.id, updated.metadata], [created.id, { topic: "other" }]);
  const appended = give("ConversationItemList", await conversations.items.create(created.id, { items: [{ role: "assistant", content: "Hi" }, { role: "user", content: "Bye" }] }));
  check([appended.object, appended.has_more, appended.data.map(text)], ["list", false, ["Hi", "Bye"]]);
  check([appended.first_id, appended.last_id], [appended.data[0].id, appended.data[1].id]);
  const here = { conversation_id: created.id };
  check(give("ConversationItem", await conversations.items.retrieve(appended.first_id, here)), appended.data[0]);
  check((await conversations.items.list(created.id)).data.map(text), ["Bye", "Hi", "Hello"], "the newest first");
  check(give("Conversation", await conversations.items.delete(appended.first_id, here)).id, created.id);
  check((await collect(conversations.items.list(created.id, { order: "asc", limit: 1 }))).map(text), ["Hello", "Bye"]);
  check(give("ConversationDeletedResource", await conversations.delete(created.id)), { id: created.id, object: "conversation.deleted", deleted: true });
  const gone = { status: 404, code: "not_found", param: null, type: "invalid_request_error" };
  await refused(() => conversations.retrieve(created.id), OpenAI.NotFoundError, gone);
  await refused(() => conversations.items.list(created.id), OpenAI.NotFoundError, gone);
  const empty = await conversations.create();
  check(give("Conversation", empty).metadata, {});
  const page = await conversations.items.list(empty.id);
  check([page.data, page.has_more, page.last_id, page.hasNextPage()], [[], false, "", false]);
}

async function everyKindOfItem() {
  const { id } = await client.conversations.create({});
  for (const [kind, sent] of Object.entries(items)) {
    const { data } = await client.conversations.items.create(id, { items: [sent] });
    const stored = give("ConversationItem", data[0]);
    check(stored.type, kind);
    check(give("ConversationItem", await client.conversations.items.retrieve(stored.id, { conversation_id: id })), stored);
    if (kind !== "message") check({ ...stored, ...sent }, stored, kind);
  }
  const listed = await collect(client.conversations.items.list(id, { order: "asc", limit: 7 }));
  check(listed.map((item) => item.type), Object.keys(items));
  const unknown = { type: "of.the_future", z: 1, a: [null, { deep: true }], text: "é\u0000" };
  const { data } = await client.conversations.items.create(id, { items: [unknown] });
  check(data[0], { id: data[0].id, ...unknown });
  check(JSON.stringify(Object.keys(data[0]).slice(1)), JSON.stringify(Object.keys(unknown)), "the order of the keys");
}

async function whatIsIncluded() {
  for (const { value, item } of included) {
    const { id } = await client.conversations.create({ items: [item] });
    const all = (await client.conversations.items.list(id)).data[0];
    check((await client.conversations.items.list(id, { include: [value] })).data[0], all);
    const other = included.find((one) => one.value !== value).value;
    const less = give("ConversationItem", (await client.conversations.items.list(id, { include: [other] })).data[0]);
    assert.notDeepEqual(less, all);
  }
}

async function hardTexts() {
  const { id } = await client.conversations.create({});
  for (let start = 0; start < strings.length; start += 20) {
    const batch = strings.slice(start, start + 20);
    const made = await client.conversations.items.create(id, { items: batch.map((content) => ({ role: "user", content })) });
    check(made.data.map(text), batch);
  }
  check((await collect(client.conversations.items.list(id, { order: "asc", limit: 100 }))).map(text), strings);
}

async function longWalks() {
  const { id } = await client.conversations.create({});
  const sent = Array.from({ length: MANY }, (_, number) => `${number}`);
  for (let start = 0; start < MANY; start += 20) {
    await client.conversations.items.create(id, { items: sent.slice(start, start + 20).map((content) => ({ role: "user", content })) });
  }
  check((await collect(client.conversations.items.list(id, { order: "asc", limit: 100 }))).map(text), sent);
  check((await collect(client.conversations.items.list(id, { limit: 97 }))).map(text), [...sent].reverse());
  check((await collect(client.conversations.items.list(id))).length, MANY, "pages of the default size");
}

async function whatTheApiLacks() {
  const { id } = await client.conversations.create({ items: [{ role: "user", content: "Where is the zeppelin?" }] });
  const { ConversationCursorPage } = require("openai/pagination");
  const listed = await collect(client.getAPIList("/conversations", ConversationCursorPage, { query: { limit: 3 } }));
  check([listed[0].id, new Set(listed.map((one) => one.id)).size], [id, listed.length]);
  const renamed = await client.conversations.update(id, { title: "Airships", archived: true });
  check([renamed.title, renamed.title_source, renamed.message_count], ["Airships", "user", 1]);
  const found = await client.get("/search", { query: { query: "zeppelin", conversation_id: id } });
  check(found.data.map((one) => one.conversation_title), ["Airships"]);
  check(found.data[0].snippet.filter((segment) => segment.match).map((segment) => segment.text), ["zeppelin"]);
  const once = { headers: { "Idempotency-Key": "node" } };
  check((await client.conversations.create({}, once)).id, (await client.conversations.create({}, once)).id);
}

async function errors() {
  const bad = { status: 400, type: "invalid_request_error" };
  const { id } = await client.conversations.create({});
  await refused(() => client.conversations.create({ metadata: { key: "x".repeat(513) } }), OpenAI.BadRequestError, { ...bad, code: "string_above_max_length", param: "metadata.key" });
  await refused(() => client.conversations.items.list(id, { limit: 101 }), OpenAI.BadRequestError, { ...bad, code: "invalid_value", param: "limit" });
  await refused(() => client.conversations.items.create(id, { items: [{ role: "wizard", content: "x" }] }), OpenAI.BadRequestError, { ...bad, code: "invalid_value", param: "items[0].role" });
  await refused(() => client.get("/nowhere"), OpenAI.NotFoundError, { ...bad, status: 404, code: "unknown_url", param: null });
  await refused(() => client.put("/conversations"), OpenAI.APIError, { ...bad, status: 405, code: "method_not_allowed", param: null });
  const stranger = client.withOptions({ apiKey: "sk-wrong" });
  await refused(() => stranger.conversations.create({}), OpenAI.AuthenticationError, { ...bad, status: 401, code: "invalid_api_key", param: null });
}

async function turns() {
  const conversation = (await client.conversations.create({})).id;
  const answer = await client.responses.create({ conversation, input: "add buy milk", model: "offline" });
  check(give("Response", answer).status, "completed");
  const events = await collect(await client.responses.create({ conversation, input: "add buy bread", model: "offline", stream: true }));
  check(events.map((event) => event.sequence_number), events.map((_, number) => number));
  const said = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
  check([events[0].type, said.join("")], ["response.created", events.at(-1).response.output.at(-1).content[0].text]);
  const announced = answer.output.map((item) => item.id);
  const stored = (await collect(client.conversations.items.list(conversation, { order: "asc" }))).map((item) => item.id);
  check(stored.filter((id) => announced.includes(id)), announced);
}

(async () => {
  await theEightEndpoints();
  await everyKindOfItem();
  await whatIsIncluded();
  await hardTexts();
  await longWalks();
  await whatTheApiLacks();
  await errors();
  await turns();
  process.stdout.write(`${JSON.stringify(count)}\n`);
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
