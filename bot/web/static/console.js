// Keeps a console page live: sections are patched in place, lines are added once, waiting clocks tick.

const root = document.querySelector("[data-live]");

// ── clocks: seconds waited at drawing, counted on from there ──
const drawn = new WeakMap();
const two = (n) => String(n).padStart(2, "0");
function tick() {
  for (const clock of document.querySelectorAll(".waiting")) {
    if (!drawn.has(clock)) drawn.set(clock, performance.now());
    const seconds = Number(clock.dataset.seconds) + Math.floor((performance.now() - drawn.get(clock)) / 1000);
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
    clock.textContent = h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
    clock.classList.toggle("long", seconds >= 300);
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
function patch(section, html) {
  const active = section.contains(document.activeElement) ? document.activeElement : null;
  const opened = new Map([...section.querySelectorAll("details[id]")].map((details) => [details.id, details.open]));
  const written = [...fields(section)].filter((field) => field.name && (touched(field) || field === active));
  section.innerHTML = html;
  for (const [id, open] of opened) section.querySelector(`#${CSS.escape(id)}`)?.toggleAttribute("open", open);
  prepare(section);
  for (const before of written) {
    const again = [...fields(section)].find((field) => key(field) === key(before)
      && (field.type !== "radio" || field.value === before.value));
    if (!again) continue;
    if (again.matches("[type=checkbox], [type=radio]")) again.checked = before.checked;
    else again.value = before.value;
    if (before === active) {
      again.focus();
      if (before.selectionStart !== null && again.setSelectionRange) {
        try { again.setSelectionRange(before.selectionStart, before.selectionEnd); } catch { /* a kind without a caret */ }
      }
    }
  }
  if (active?.id && !active.name) section.querySelector(`#${CSS.escape(active.id)}`)?.focus();
}

// ── lines ──
const lines = document.getElementById("lines");
const toEnd = () => { if (lines) lines.scrollTop = lines.scrollHeight; };
function addLine({ seq, html, author }) {
  if (!lines || lines.querySelector(`[data-seq="${seq}"]`)) return;
  const near = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 120;
  lines.insertAdjacentHTML("beforeend", html);
  if (near) toEnd();
  if (author === "customer") showTyping(false);
}
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
    const waiting = Number(document.querySelector("[data-count=queue]")?.textContent ?? 0);
    document.title = waiting > 0 ? `(${waiting}) ${title}` : title;
    tick();
  });
  stream.addEventListener("line", (event) => addLine(JSON.parse(event.data)));
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
function prepare(scope) {
  for (const form of scope.querySelectorAll("form[data-composer]")) {
    const words = form.querySelector("textarea");
    const key = `draft:${form.dataset.draft}`;
    words.value ||= sessionStorage.getItem(key) ?? "";
    let told = -Infinity;
    words.addEventListener("input", () => {
      sessionStorage.setItem(key, words.value);
      if (form.dataset.typingTo && !form.classList.contains("as-note") && performance.now() - told > 3000) {
        told = performance.now();
        fetch(form.dataset.typingTo, { method: "POST", headers: { "X-CSRF-Token": form.elements.csrf.value } }).catch(() => {});
      }
    });
    words.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      form.requestSubmit(form.querySelector("button.primary, button:not([type=button]):not([data-plain])"));
    });
    form.querySelector("[data-as-note]")?.addEventListener("change", ({ target }) => {
      form.classList.toggle("as-note", target.checked);
      words.dataset.replyPlaceholder ??= words.placeholder;
      words.placeholder = target.checked ? words.dataset.notePlaceholder : words.dataset.replyPlaceholder;
      words.focus();
    });
    form.addEventListener("submit", (event) => {
      if (event.submitter?.dataset.plain !== undefined) return;
      event.preventDefault();
      send(form, words, key);
    });
  }
}
async function send(form, words, key) {
  if (!words.value.trim() || form.dataset.sending) return;
  const problem = form.querySelector(".problem");
  form.dataset.sending = "yes";
  problem.hidden = true;
  try {
    const to = form.classList.contains("as-note") ? form.dataset.noteAction : form.action;
    const answer = await fetch(to, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error((await answer.json()).error ?? "");
    words.value = "";
    sessionStorage.removeItem(key);
    toEnd();
  } catch (error) {
    problem.textContent = (error instanceof TypeError ? "" : error.message) || root.dataset.failed;
    problem.hidden = false;
  } finally {
    delete form.dataset.sending;
    words.focus();
  }
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
