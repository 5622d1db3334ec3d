// Keeps a console page live: sections are patched in place, lines are added once, waiting clocks tick.

const root = document.querySelector("[data-live]");

// what the server drew in each section: the same once more is left alone
const plain = (html) => { const parsed = document.createElement("template"); parsed.innerHTML = html; return parsed.innerHTML.trim(); };
const drawnAs = new Map([...document.querySelectorAll("[data-section]")].map((section) => [section, section.innerHTML.trim()]));

// ── clocks: seconds waited at drawing, counted on from there ──
const drawn = new WeakMap();
const two = (n) => String(n).padStart(2, "0");
function tick() {
  for (const clock of document.querySelectorAll(".waiting")) {
    if (!drawn.has(clock)) drawn.set(clock, performance.now());
    const seconds = Number(clock.dataset.seconds) + Math.floor((performance.now() - drawn.get(clock)) / 1000);
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
    clock.textContent = h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
    const passed = (clock.dataset.steps ?? "").split(" ").filter((step) => step && seconds >= Number(step)).length;
    ["soon", "later", "long"].forEach((name, step) => clock.classList.toggle(name, passed === step + 1));
  }
}
setInterval(tick, 1000);
tick();

// ── sections: what somebody has opened, written or chosen there stays ──
const key = (field) => `${field.form?.getAttribute("action") ?? ""} ${field.name}`;
const fields = (section) => section.querySelectorAll("textarea, select, input:not([type=hidden], [type=file])");
const touched = (field) => field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked
  : field.matches("select") ? [...field.options].some((option) => option.selected !== option.defaultSelected)
  : field.value !== field.defaultValue;
// what is being pressed, or written into by an input method: drawn anew, the press would be lost, or half a word
let busy = null;
const later = new Map();
document.addEventListener("compositionstart", ({ target }) => { busy = target; }, true);
document.addEventListener("pointerdown", ({ target, button }) => { if (button === 0) busy = target; }, true);
for (const over of ["compositionend", "pointerup", "pointercancel"]) document.addEventListener(over, () => setTimeout(() => {
  busy = null;
  const drawings = [...later];
  later.clear();
  for (const [section, html] of drawings) patch(section, html);
}), true);
function patch(section, html) {
  if (busy && section.contains(busy)) { later.set(section, html); return; }
  const same = plain(html);
  if (drawnAs.get(section) === same) return;
  drawnAs.set(section, same);
  const active = section.contains(document.activeElement) ? document.activeElement : null;
  const offered = active?.form?.querySelector(".offers:not([hidden])");
  const opened = new Map([...section.querySelectorAll("details[id]")].map((details) => [details.id, details.open]));
  const written = [...fields(section)].filter((field) => field.name && (touched(field) || field === active));
  section.innerHTML = html;
  for (const [id, open] of opened) section.querySelector(`#${CSS.escape(id)}`)?.toggleAttribute("open", open);
  prepare(section);
  for (const before of written) {
    const again = [...fields(section)].find((field) => key(field) === key(before)
      && (!field.matches("[type=radio], [type=checkbox]") || field.value === before.value));
    if (!again) continue;
    if (again.matches("[type=checkbox], [type=radio]")) {
      again.checked = before.checked;
      if (again.matches("[data-as-note]")) asNote(again.form, again.checked);
    }
    else again.value = before.value;
    if (before === active) {
      again.focus();
      if (offered) again.dispatchEvent(new Event("input"));
      if (before.selectionStart !== null && again.setSelectionRange) {
        try { again.setSelectionRange(before.selectionStart, before.selectionEnd); } catch { /* a kind without a caret */ }
      }
    }
  }
  if (active?.id && !active.name) section.querySelector(`#${CSS.escape(active.id)}`)?.focus();
}

// ── lines ──
const lines = document.getElementById("lines");
let follows = true; // whoever reads is at the end, and stays there
const toEnd = () => { if (lines) lines.scrollTop = lines.scrollHeight; };
function addLine({ seq, html, author }) {
  if (!lines || lines.querySelector(`[data-seq="${seq}"]`)) return;
  lines.insertAdjacentHTML("beforeend", html);
  if (follows) toEnd();
  else document.querySelector("[data-newer]")?.toggleAttribute("hidden", false);
  if (author === "customer") showTyping(false);
  if (author !== "bot") arrived(lines.lastElementChild.querySelector(".words")?.textContent ?? "");
}
function showStanding(line, html) {
  const standing = line?.querySelector("[data-standing]");
  if (standing) standing.outerHTML = html;
  else line?.insertAdjacentHTML("beforeend", html);
}
const arrived = (words) => document.dispatchEvent(new CustomEvent("hotline:arrived", { detail: words.trim() }));
document.querySelector("[data-newer]")?.addEventListener("click", toEnd);
let stoodAt = 0;
lines?.addEventListener("scroll", () => {
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 120;
  follows = atEnd || (follows && lines.scrollTop >= stoodAt); // a picture that takes its room scrolls nobody back
  stoodAt = lines.scrollTop;
  if (atEnd) document.querySelector("[data-newer]").hidden = true;
});
lines?.addEventListener("load", () => { if (follows) toEnd(); }, true); // a picture takes its room when it is there
let typingEnds;
function showTyping(yes) {
  const sign = document.querySelector("[data-typing]");
  if (!sign) return;
  sign.hidden = !yes;
  clearTimeout(typingEnds);
  if (yes) typingEnds = setTimeout(() => showTyping(false), 5000);
}

// ── the stream; after a loss it resumes where the page stands ──
const title = document.title;
// Who waits, whom I hold, and what they wrote unanswered, each with where its latest words stand.
const LISTS = {
  queue: "[data-section=queue], #talks-queue + .talks",
  mine: "[data-section=mine], #talks-mine + .talks",
};
let stood; // those numbers when the page was drawn last
function standing() {
  const shown = (key) => Number(document.querySelector(`[data-count=${key}]`)?.textContent ?? 0);
  const unread = [...document.querySelectorAll(LISTS.mine)].flatMap((list) => [...list.querySelectorAll(".count.new")]);
  return { queue: shown("queue"), mine: shown("mine"), unread: unread.reduce((sum, each) => sum + Number(each.textContent), 0) };
}
function compare() {
  const now = standing();
  const more = stood && Object.keys(now).find((key) => now[key] > stood[key]);
  if (more) arrived(document.querySelector(LISTS[more === "queue" ? "queue" : "mine"])?.querySelector(".talk-words")?.textContent ?? "");
  stood = now;
  document.title = now.queue > 0 ? `(${now.queue}) ${title}` : title;
}
function listen() {
  const address = new URL(root.dataset.live, location.href);
  const last = lines?.lastElementChild?.dataset.seq;
  if (last) address.searchParams.set("after", last);
  const stream = new EventSource(address);
  let sign;
  stream.addEventListener("open", () => { sign?.remove(); sign = undefined; });
  stream.addEventListener("sections", (event) => {
    for (const [name, html] of Object.entries(JSON.parse(event.data))) {
      const section = document.querySelector(`[data-section="${CSS.escape(name)}"]`);
      if (section) patch(section, html);
    }
    compare();
    tick();
  });
  stream.addEventListener("line", (event) => addLine(JSON.parse(event.data)));
  stream.addEventListener("standings", (event) => {
    for (const [seq, html] of Object.entries(JSON.parse(event.data))) showStanding(lines?.querySelector(`[data-seq="${seq}"]`), html);
  });
  stream.addEventListener("typing", () => showTyping(true));
  stream.addEventListener("gone", () => { stream.close(); location.reload(); });
  stream.addEventListener("error", () => {
    if (!sign) {
      sign = document.createElement("p");
      sign.className = "lost";
      sign.role = "status";
      sign.textContent = root.dataset.lost;
      document.body.append(sign);
    }
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(() => { sign?.remove(); listen(); }, 2000 + Math.random() * 2000);
    }
  });
}
if (root) { toEnd(); listen(); }

// ── writing: Enter sends, Shift+Enter breaks the line, drafts survive a reload ──
const compose = { files: [], quote: null, client: "", sending: false }; // the next line; it outlives a section drawn anew
function prepare(scope) {
  for (const form of scope.querySelectorAll("form[data-composer]")) {
    const words = form.querySelector("textarea");
    const key = `draft:${form.dataset.draft}`;
    words.value ||= sessionStorage.getItem(key) ?? "";
    let told = -Infinity;
    words.addEventListener("input", () => {
      sessionStorage.setItem(key, words.value);
      compose.client = ""; // other words are another line
      if (words.value && form.dataset.typingTo && !form.classList.contains("as-note") && performance.now() - told > 3000) {
        told = performance.now();
        fetch(form.dataset.typingTo, { method: "POST", headers: { "X-CSRF-Token": form.elements.csrf.value } }).catch(() => {});
      }
    });
    if (form.elements.typed_seconds) measure(form, words);
    const offers = form.dataset.canned ? offering(form, words) : null;
    words.addEventListener("keydown", (event) => {
      if (offers?.key(event)) return;
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      form.requestSubmit(form.querySelector("button.primary, button:not([type=button]):not([data-plain])"));
    });
    const note = form.querySelector("[data-as-note]");
    if (note && sessionStorage.getItem(`${key}:note`)) { note.checked = true; asNote(form, true); }
    note?.addEventListener("change", () => {
      asNote(form, note.checked);
      if (note.checked) sessionStorage.setItem(`${key}:note`, "yes");
      else sessionStorage.removeItem(`${key}:note`);
      words.focus();
    });
    if (form.dataset.filesTo) enclosing(form, words);
    drawQuote(form);
    form.addEventListener("submit", (event) => {
      if (event.submitter?.dataset.plain !== undefined) return;
      event.preventDefault();
      send(form, words, key);
    });
  }
}
function asNote(form, yes) {
  const words = form.querySelector("textarea");
  form.classList.toggle("as-note", yes);
  words.dataset.replyPlaceholder ??= words.placeholder;
  words.placeholder = yes ? words.dataset.notePlaceholder : words.dataset.replyPlaceholder;
}

// ── how fast it is typed: what the keyboard brings, over the time between keys; a longer pause is thinking ──
const PAUSE = 3000;
function measure(form, words) {
  let characters = 0, busy = 0, last = 0;
  const { typed_characters: count, typed_seconds: time } = form.elements;
  const put = () => { count.value = characters || ""; time.value = characters ? (busy / 1000).toFixed(1) : ""; };
  words.addEventListener("input", (event) => {
    if (!words.value) { characters = busy = last = 0; return put(); } // sent, or begun anew
    const keyed = event.inputType === "insertText" && !event.isComposing;
    if (!keyed && event.inputType !== "insertCompositionText") return;
    const now = performance.now();
    if (last) busy += Math.min(now - last, PAUSE);
    last = now;
    if (keyed) { characters += event.data?.length ?? 0; put(); }
  });
  words.addEventListener("compositionend", ({ data }) => { characters += data.length; put(); });
}

// ── files: chosen, pasted or dropped, they wait above the words until these are sent ──
function enclosing(form, words) {
  const picked = form.querySelector("[data-picked]");
  // Asked for no HEIC, an iPhone makes a JPEG of the picture that is picked, which everybody can see.
  if (matchMedia("(pointer: coarse)").matches) picked.accept = picked.accept.split(",").filter((each) => !/hei[cf]$/.test(each)).join();
  form.querySelector("[data-pick]").addEventListener("click", () => picked.click());
  picked.addEventListener("change", () => { enclose(form, picked.files); picked.value = ""; });
  words.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    enclose(form, event.clipboardData.files);
  });
  drawFiles(form);
}
function enclose(form, files) {
  const problem = form.querySelector(".problem");
  problem.hidden = true;
  for (const file of files) {
    if (file.size > Number(form.dataset.most)) { problem.textContent = `${file.name}：${form.dataset.tooLarge}`; problem.hidden = false; }
    else compose.files.push({ file, client: newId() });
  }
  drawFiles(form);
  form.querySelector("textarea").focus();
}
function drawFiles(form) {
  const list = form.querySelector("[data-enclosures]");
  list.hidden = !compose.files.length;
  for (const old of list.querySelectorAll("img")) URL.revokeObjectURL(old.src);
  list.replaceChildren(...compose.files.map((each) => {
    const item = document.createElement("li");
    if (/^image\/(?!hei)/.test(each.file.type)) { // a browser shows no HEIC
      const small = document.createElement("img");
      small.src = URL.createObjectURL(each.file);
      small.alt = "";
      item.append(small);
    }
    const name = document.createElement("span");
    name.textContent = each.file.name;
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "small quiet";
    drop.textContent = "✕";
    drop.ariaLabel = `${list.dataset.drop} ${each.file.name}`;
    drop.addEventListener("click", () => { compose.files = compose.files.filter((other) => other !== each); drawFiles(form); form.querySelector("textarea").focus(); });
    item.append(name, drop);
    return item;
  }));
}
const room = document.querySelector(".talkroom");
const taking = () => room?.querySelector("form[data-files-to]");
const brings = (event) => taking() && [...event.dataTransfer.types].includes("Files");
room?.addEventListener("dragover", (event) => { if (brings(event)) { event.preventDefault(); room.classList.add("dropping"); } });
room?.addEventListener("dragleave", (event) => { if (!room.contains(event.relatedTarget)) room.classList.remove("dropping"); });
room?.addEventListener("drop", (event) => {
  room.classList.remove("dropping");
  if (!brings(event)) return;
  event.preventDefault();
  enclose(taking(), event.dataTransfer.files);
});

// ── a quote: the line that is answered, by its number ──
function drawQuote(form) {
  const bar = form.querySelector("[data-quoting]");
  if (!bar) return;
  bar.hidden = !compose.quote;
  bar.querySelector("[data-quoted]").textContent = compose.quote?.words ?? "";
  form.elements.quotes.value = compose.quote?.seq ?? "";
}
function quote(line) {
  compose.quote = line && { seq: line.dataset.seq, words: line.querySelector(".words").textContent.trim() };
  const form = document.querySelector("form:has(> [data-quoting])");
  if (form) { drawQuote(form); form.querySelector("textarea").focus(); }
}

// ── canned replies: "/" at the beginning, or the button, opens the list; typing on narrows it ──
const canned = {};
function offering(form, words) {
  const list = form.querySelector(".offers");
  const button = form.querySelector("[data-offers]");
  let wish = 0, shown = [], at = 0;
  const close = () => { wish += 1; list.hidden = true; button.ariaExpanded = "false"; };
  async function draw(asked) {
    const mine = (wish += 1);
    const all = await (canned[form.dataset.canned] ??= fetch(form.dataset.canned).then((answer) => (answer.ok ? answer.json() : [])).catch(() => []));
    if (mine !== wish) return; // more was typed, or one was taken, while the list was on its way
    asked = asked.toLowerCase();
    shown = all.filter((offer) => `${offer.shortcut} ${offer.text}`.toLowerCase().includes(asked));
    at = 0;
    list.replaceChildren(...shown.map((offer, number) => {
      const item = document.createElement("li");
      item.role = "option";
      item.id = `offer-${number}`;
      const name = document.createElement("b");
      name.textContent = offer.shortcut ? `/${offer.shortcut}` : list.dataset.own;
      item.append(name, offer.text);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(number); });
      return item;
    }));
    if (!shown.length) {
      list.innerHTML = '<li class="empty"></li>';
      list.firstChild.textContent = list.dataset.none;
    }
    list.hidden = false;
    button.ariaExpanded = "true";
    mark();
  }
  function mark() {
    [...list.children].forEach((item, number) => { item.ariaSelected = String(number === at && shown.length > 0); });
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }
  function take(number) {
    if (!shown[number]) return;
    words.value = words.value.startsWith("/") || !words.value.trim() ? shown[number].text : `${words.value} ${shown[number].text}`;
    close();
    words.dispatchEvent(new Event("input"));
    words.focus();
  }
  words.addEventListener("input", () => (/^\/\S*$/.test(words.value) ? draw(words.value.slice(1)) : close()));
  words.addEventListener("blur", close);
  button.addEventListener("click", () => { words.focus(); if (list.hidden) draw(""); else close(); });
  return {
    key(event) {
      if (list.hidden || event.isComposing) return false;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) { at = (at + step + shown.length) % Math.max(shown.length, 1); mark(); }
      else if ((event.key === "Enter" || event.key === "Tab") && shown.length) take(at);
      else if (event.key === "Escape") close();
      else return false;
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
  };
}
function insert(words, text) {
  words.setRangeText(text, words.selectionStart, words.selectionEnd, "end");
  words.dispatchEvent(new Event("input"));
  words.focus();
}
document.addEventListener("click", ({ target }) => {
  const words = document.getElementById("words");
  const face = target.closest("[data-face]");
  if (face && words) { insert(words, face.dataset.face); face.closest("details").open = false; }
  if (target.closest("[data-quote]")) quote(target.closest(".line"));
  if (target.closest("[data-unquote]")) quote(null);
  const deed = target.closest("[data-post]");
  if (deed) post(deed);
});
async function post(button) {
  button.disabled = true;
  const headers = { "X-CSRF-Token": document.querySelector("input[name=csrf]").value, Accept: "application/json" };
  const answer = await fetch(button.dataset.post, { method: "POST", headers }).catch(() => null);
  if (answer?.ok) return;
  button.disabled = false;
  button.after(` ${(await answer?.json().catch(() => null))?.error ?? root.dataset.failed}`);
}
const newId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
async function ask(form, to, body) {
  const answer = await fetch(to, { method: "POST", body, headers: { Accept: "application/json", "X-CSRF-Token": form.elements.csrf.value } });
  if (answer.status === 401) { location.reload(); throw new Error(); }
  if (!answer.ok) throw new Error((await answer.json()).error ?? "");
}
async function send(form, words, key) {
  const note = form.classList.contains("as-note");
  const files = form.dataset.filesTo && !note;
  if ((!words.value.trim() && !(files && compose.files.length)) || compose.sending) return;
  compose.sending = true;
  const shown = () => (form.isConnected ? form : document.querySelector(`form[data-draft="${CSS.escape(form.dataset.draft)}"]`) ?? form);
  form.querySelector(".problem").hidden = true;
  try {
    if (words.value.trim()) {
      const sent = words.value;
      compose.client ||= newId(); // the same words sent again are the same line
      if (form.elements.client) form.elements.client.value = compose.client;
      await ask(form, note ? form.dataset.noteAction : form.action, new URLSearchParams(new FormData(form)));
      empty(shown().querySelector("textarea"), sent, key);
      if (!note && form.elements.quotes) { compose.quote = null; drawQuote(shown()); }
    }
    while (files && compose.files.length) {
      const [next] = compose.files;
      const body = new FormData();
      for (const [name, value] of [["client", next.client], ["quotes", compose.quote?.seq ?? ""]]) body.append(name, value);
      body.append("file", next.file);
      await ask(form, form.dataset.filesTo, body);
      compose.files = compose.files.filter((each) => each !== next);
      compose.quote = null;
      drawFiles(shown());
      drawQuote(shown());
    }
    toEnd();
  } catch (error) {
    const problem = shown().querySelector(".problem");
    problem.textContent = (error instanceof TypeError ? "" : error.message) || root.dataset.failed;
    problem.hidden = false;
  } finally {
    compose.sending = false;
    shown().querySelector("textarea").focus();
  }
}
function empty(words, sent, key) {
  compose.client = "";
  if (words.value !== sent) return; // the next line was begun meanwhile
  words.value = "";
  words.dispatchEvent(new Event("input"));
  sessionStorage.removeItem(key);
}
prepare(document);
if (document.querySelector("#words")) document.querySelector("#words").focus();

// ── dialogs and keys ──
document.addEventListener("click", ({ target }) => {
  const opener = target.closest("[data-open-dialog]");
  if (opener) document.getElementById(opener.dataset.openDialog).showModal();
  target.closest("[data-close-dialog]")?.closest("dialog").close();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input, textarea, select, dialog[open]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const wanted = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!wanted) return;
  event.preventDefault();
  if (wanted.matches("input, textarea")) wanted.focus();
  else wanted.click();
});
