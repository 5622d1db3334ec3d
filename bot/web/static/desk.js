// On every console page: the palette (Ctrl-K), the sheet of keys (?), and alerts when something arrives.

// on a narrow screen the room one is in may lie beyond the edge of the menu
const menu = document.querySelector(".sections");
const here = menu?.querySelector("[aria-current]");
if (here) menu.scrollLeft = here.offsetLeft - menu.offsetLeft - (menu.clientWidth - here.clientWidth) / 2;

// ── the palette: rooms and what can be done here, narrowed while typing, and what a search finds ──
const palette = document.getElementById("palette");
const field = palette?.querySelector("input");
const list = palette?.querySelector("#palette-list");
const found = palette?.querySelector(".palette-found");
const doable = () => [...document.querySelectorAll("main [data-key], main [data-open-dialog]")]
  .filter((each) => each.matches("button, [type=checkbox]") && !each.disabled && each.offsetParent !== null);

function open() {
  for (const old of list.querySelectorAll(".deed")) old.remove();
  doable().forEach((target, number) => {
    const deed = document.createElement("a");
    deed.className = "deed";
    deed.role = "option";
    deed.href = "#";
    deed.id = `deed-${number}`;
    deed.textContent = (target.closest("label") ?? target).textContent.trim();
    deed.addEventListener("click", (event) => { event.preventDefault(); palette.close(); target.click(); });
    list.prepend(deed);
  });
  field.value = "";
  found.replaceChildren();
  narrow();
  palette.showModal();
}
const choices = () => [...list.querySelectorAll("[role=option]:not([hidden])"), ...found.querySelectorAll("a")];
function choose(index) {
  const all = choices();
  for (const each of all) each.removeAttribute("aria-selected");
  const chosen = all[Math.max(0, Math.min(index, all.length - 1))];
  chosen?.setAttribute("aria-selected", "true");
  chosen?.scrollIntoView({ block: "nearest" });
  if (chosen?.id) field.setAttribute("aria-activedescendant", chosen.id);
  else field.removeAttribute("aria-activedescendant");
}
function narrow() {
  const asked = field.value.trim().toLowerCase();
  for (const option of list.children) option.hidden = !option.textContent.toLowerCase().includes(asked);
  choose(0);
}
let asking;
function seek() {
  clearTimeout(asking);
  const asked = field.value.trim();
  if (!found.dataset.find) return;
  if (!asked) return found.replaceChildren();
  asking = setTimeout(async () => {
    const answer = await fetch(`${found.dataset.find}?q=${encodeURIComponent(asked)}`).catch(() => null);
    if (!answer?.ok || field.value.trim() !== asked) return;
    found.innerHTML = await answer.text();
    if (!list.querySelector("[aria-selected]")) choose(0);
  }, 180);
}
field?.addEventListener("input", () => { narrow(); seek(); });
field?.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const all = choices();
  const now = all.findIndex((each) => each.ariaSelected === "true");
  if (event.key === "Escape") { // which would only empty the field
    event.preventDefault();
    palette.close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(now + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (all[now]) all[now].click();
    else if (field.value.trim()) location.href = `/console/search?q=${encodeURIComponent(field.value.trim())}`;
  }
});
for (const dialog of document.querySelectorAll("dialog#palette, dialog#sheet")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

// ── keys ──
const sheet = document.getElementById("sheet");
document.querySelector("[data-sheet]")?.addEventListener("click", () => sheet.showModal());
document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette) {
    event.preventDefault();
    if (palette.open) palette.close();
    else open();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  if (event.key === "?") { event.preventDefault(); sheet?.showModal(); }
  const step = { j: 1, k: -1 }[event.key.toLowerCase()];
  const talks = [...document.querySelectorAll(".talk-link")];
  if (!step || !talks.length) return;
  event.preventDefault();
  const here = talks.findIndex((each) => each === document.activeElement || each.ariaCurrent === "page");
  const next = talks[(here + step + talks.length) % talks.length];
  if (next.closest("[data-section=talks]")) next.click();
  else next.focus();
});
// A page without console.js has its search box by "/" too.
if (!document.querySelector("[data-live]")) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    const seekField = document.getElementById("seek");
    if (seekField) { event.preventDefault(); seekField.focus(); }
  });
}

// ── alerts, for who wants them: a tone, and a notification where the page is not looked at ──
const wants = (kind) => localStorage.getItem(`alert:${kind}`) === "yes";
for (const box of document.querySelectorAll("[data-alert]")) {
  box.checked = wants(box.dataset.alert);
  box.addEventListener("change", async () => {
    if (box.checked && box.dataset.alert === "notice" && await Notification.requestPermission() !== "granted") box.checked = false;
    localStorage.setItem(`alert:${box.dataset.alert}`, box.checked ? "yes" : "no");
    if (box.checked && box.dataset.alert === "sound") ring();
  });
}
let audio;
function ring() {
  audio ??= new AudioContext();
  const at = audio.currentTime;
  for (const [tone, after] of [[880, 0], [1174, 0.12]]) {
    const [voice, loud] = [audio.createOscillator(), audio.createGain()];
    voice.frequency.value = tone;
    loud.gain.setValueAtTime(0.0001, at + after);
    loud.gain.exponentialRampToValueAtTime(0.15, at + after + 0.02);
    loud.gain.exponentialRampToValueAtTime(0.0001, at + after + 0.3);
    voice.connect(loud).connect(audio.destination);
    voice.start(at + after);
    voice.stop(at + after + 0.32);
  }
}
document.addEventListener("hotline:arrived", ({ detail }) => {
  if (wants("sound")) ring();
  if (wants("notice") && document.hidden && globalThis.Notification?.permission === "granted") {
    const notice = new Notification(document.title, { body: detail.slice(0, 120), tag: location.pathname });
    notice.addEventListener("click", () => { window.focus(); notice.close(); });
  }
});
