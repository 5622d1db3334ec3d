// The customer's chat: sends lines once, shows every line once, resumes where it stood. What waits in the tray of files
// (chat_files.js) goes with them.

const chat = document.getElementById("chat");
const lines = document.getElementById("lines");
const choices = document.getElementById("choices");
const form = document.getElementById("form");
const words = document.getElementById("words");
const picked = document.getElementById("picked");
const problem = document.getElementById("problem");
const status = document.getElementById("status");
const typing = document.getElementById("typing");
const say = chat.dataset;
const greeting = status.textContent;
const names = { customer: say.you, bot: say.bot, agent: say.agent };
const headers = { "Content-Type": "application/json", "X-Hotline-Chat": "1" };
let place = "";
let state = "";

const toEnd = () => { lines.scrollTop = lines.scrollHeight; };

function bubble(author, text, by, at) {
  const item = document.createElement("li");
  const last = lines.lastElementChild;
  item.className = `said ${author}`;
  if (last?.dataset.by === `${author}${by ?? ""}`) item.classList.add("same");
  item.dataset.by = `${author}${by ?? ""}`;
  const who = document.createElement("span");
  who.className = "by";
  who.textContent = author === "agent" && by ? `${say.agent} ${by}` : (names[author] ?? "");
  const said = document.createElement("span");
  said.className = "words";
  said.textContent = text;
  said.hidden = !text;
  if (at) said.title = new Date(at).toLocaleString(document.documentElement.lang);
  item.append(...(who.textContent ? [who] : []), said);
  return item;
}

// ── what arrives ──
const before = (a, b) => {
  const [c, s] = a.split(":").map(Number);
  const [d, t] = (b || "0:0").split(":").map(Number);
  return c < d || (c === d && s <= t);
};

function show(line) {
  if (before(line.id, place)) return;
  place = line.id;
  const mine = line.client && lines.querySelector(`[data-client="${CSS.escape(line.client)}"]`);
  const item = bubble(line.author, line.text, line.name, line.at);
  if (line.quote) item.querySelector(".words").before(quoted(line.quote));
  item.querySelector(".words").before(...line.files.map((each) => file(each, mine?.preview)));
  if (mine) mine.remove();
  lines.append(item);
  if (line.author === "agent") { unread = line.id; look(); }
  if (line.author !== "system") showTyping("");
  if (!line.aside || line.buttons.length) offer(line.author === "customer" ? [] : line.buttons); // beside it, the question stays open
  toEnd();
}

function quoted(quote) {
  const said = document.createElement("blockquote");
  said.textContent = `${names[quote.author] ?? ""} ${quote.text}`.trim();
  return said;
}

// A file as it stands in a line; `preview` is a picture this page has already.
function file({ url, name, kind, size }, preview) {
  const link = document.createElement(url ? "a" : "span");
  link.className = "file";
  if (url) {
    link.href = url;
    link.download = name;
  }
  if (kind === "image") {
    const picture = document.createElement("img");
    picture.src = preview ?? url;
    link.ariaLabel = picture.alt = name || say.picture;
    picture.addEventListener("load", toEnd);
    link.append(picture);
  } else {
    link.textContent = `${name || say.file} · ${size < 1048576 ? `${Math.ceil(size / 1024)} KB` : `${(size / 1048576).toFixed(1)} MB`}`;
  }
  return link;
}

// ── what the agent wrote has been read once the page is looked at ──
let unread = "";
function look() {
  if (!unread || document.hidden) return;
  const place = unread;
  unread = "";
  fetch("/chat/read", { method: "POST", headers, body: JSON.stringify({ place }) }).catch(() => { unread ||= place; });
}
document.addEventListener("visibilitychange", look);

function offer(buttons) {
  choices.replaceChildren(...buttons.map(({ title, payload }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => { offer([]); send(title, { payload }); words.focus(); });
    return button;
  }));
}

let typingEnds;
function showTyping(text) {
  clearTimeout(typingEnds);
  typing.hidden = !text;
  typing.lastElementChild.textContent = text;
  if (text) { typingEnds = setTimeout(() => showTyping(""), 6000); toEnd(); }
}

function showState(now) {
  const ended = state && state !== "closed" && now.state === "closed";
  state = now.state ?? "";
  if (state === "queued") status.textContent = now.ahead ? say.queued.replace("{n}", now.ahead) : say.next;
  else if (state === "agent") status.textContent = say.held;
  else if (state === "closed") status.textContent = say.ended;
  else status.textContent = greeting;
  if (ended) { lines.append(bubble("system", say.ended)); toEnd(); }
}

let lost = false;
function listen() {
  const stream = new EventSource(`/chat/events?after=${encodeURIComponent(place)}`);
  stream.addEventListener("line", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("state", (event) => { // a stream begins with it, behind the lines that were missed
    showState(JSON.parse(event.data));
    if (lost) { lost = false; retryAll(); }
  });
  stream.addEventListener("typing", () => showTyping(say.typingAgent));
  stream.addEventListener("error", () => {
    lost = true;
    status.textContent = say.lost;
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000 + Math.random() * 3000);
  });
}

// ── what is sent: a line keeps its id until it is known to have arrived ──
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function send(text, { payload, file: sent, preview } = {}) {
  const item = bubble("customer", text);
  item.dataset.client = newId();
  item.classList.add("unsent");
  item.unsent = { text, payload, client_id: item.dataset.client };
  if (sent) enclose(item, sent, preview);
  lines.append(item);
  toEnd();
  return post(item);
}

function enclose(item, sent, preview) {
  item.file = sent;
  item.preview = preview;
  const bar = document.createElement("progress");
  bar.value = 0;
  bar.ariaLabel = `${say.sending} ${sent.name}`;
  item.querySelector(".words").before(file({ name: sent.name, size: sent.size, kind: preview ? "image" : "" }, preview), bar);
}

let uploads = Promise.resolve();
function upload(item) { // one after the other, in their order
  const answer = uploads.then(() => put(item));
  uploads = answer.catch(() => {});
  return answer;
}

// fetch tells nothing of how far an upload has come
function put(item) {
  const bar = item.querySelector("progress");
  const body = new FormData();
  body.append("client_id", item.unsent.client_id);
  body.append("text", item.unsent.text);
  body.append("file", item.file);
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open("POST", `/chat/files${location.search}`);
    asked.setRequestHeader("X-Hotline-Chat", "1");
    asked.upload.addEventListener("progress", ({ loaded, total }) => { bar.value = loaded / total; });
    asked.upload.addEventListener("load", expectBot);
    asked.addEventListener("load", () => resolve(new Response(asked.response, { status: asked.status })));
    asked.addEventListener("error", reject);
    asked.send(body);
  });
}

function expectBot() {
  if (state !== "agent" && state !== "queued") showTyping(say.typingBot);
}

async function post(item) {
  if (item.busy) return;
  item.busy = true;
  item.querySelector(".trouble")?.remove();
  if (!item.file) expectBot();
  try {
    const answer = item.file ? await upload(item)
      : await fetch(`/chat/messages${location.search}`, { method: "POST", headers, body: JSON.stringify(item.unsent) });
    if (!answer.ok) {
      const { error, code } = await answer.json().catch(() => ({}));
      trouble(item, error, answer.status === TOO_MANY || answer.status >= 500);
      if (answer.status === TOO_MANY) sayLater(item);
    } else {
      item.classList.remove("unsent");
      item.querySelector("progress")?.remove();
    }
  } catch {
    trouble(item, "", true);
  } finally {
    item.busy = false;
  }
}

// Too much at once, from here or from this network: it is said again by itself, later and later.
const TOO_MANY = 429;
function sayLater(item) {
  item.tries = (item.tries ?? 0) + 1;
  setTimeout(() => { if (item.querySelector(".trouble")) post(item); }, Math.min(60, 2 ** item.tries) * (1000 + Math.random() * 1000));
}

function trouble(item, reason, again) {
  showTyping("");
  const told = document.createElement("span");
  told.className = "trouble";
  told.role = "alert";
  told.append(reason || say.failed);
  if (again) {
    const retry = document.createElement("button");
    retry.type = "button";
    retry.className = "small";
    retry.textContent = say.retry;
    retry.addEventListener("click", () => post(item));
    told.append(retry);
  }
  item.append(told);
  toEnd();
  if (!again && item.file) leaveOut(item);
}

// A file that is not taken: what was written to it goes without it.
function leaveOut(item) {
  const said = item.querySelector(".words");
  said.hidden = true;
  said.textContent = "";
  item.file = undefined;
  if (item.unsent.text) send(item.unsent.text);
}

function retryAll() {
  for (const item of lines.querySelectorAll(".unsent:has(.trouble button)")) post(item);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = words.value.trim();
  const files = [...picked.children];
  if (!text && !files.length) return;
  if ([...text].length > Number(say.max)) {
    status.textContent = say.tooLong;
    words.focus();
    return;
  }
  words.value = "";
  picked.replaceChildren();
  problem.hidden = true;
  if (text) offer([]);
  const last = files.pop(); // what was written goes with it, so that the answer is to the words
  for (const each of files) send("", each);
  send(text, last);
  words.focus();
});

addEventListener("beforeunload", (event) => { if ([...lines.querySelectorAll(".unsent")].some(({ file }) => file)) event.preventDefault(); });

let told = -Infinity;
words.addEventListener("input", () => {
  if (state === "agent" && performance.now() - told > 3000) {
    told = performance.now();
    fetch("/chat/typing", { method: "POST", headers }).catch(() => {});
  }
});
words.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  form.requestSubmit();
});

// Opened by a link from a text message: that conversation goes on here. The link leaves the address bar either way.
async function join() {
  const here = new URL(location.href), go = here.searchParams.get("go");
  if (!go) return;
  const answer = await fetch("/chat/join", { method: "POST", headers, body: JSON.stringify({ go }) });
  if (answer.status === TOO_MANY || answer.status >= 500) throw new Error("later");
  here.searchParams.delete("go");
  history.replaceState(null, "", here);
  if (answer.ok) return;
  const told = document.createElement("p");
  told.className = "notice warn";
  told.textContent = (await answer.json().catch(() => ({}))).error ?? "";
  lines.before(told);
}

async function begin() {
  try {
    await join();
    const answer = await fetch(`/chat/open${location.search}`, { method: "POST", headers });
    if (answer.status === TOO_MANY) throw new Error("later");
  } catch {
    status.textContent = say.lost;
    setTimeout(begin, 3000);
    return;
  }
  listen();
}
begin();
if (!document.body.classList.contains("embedded")) words.focus();
