// Files in the customer's chat: chosen, pasted or dropped, they wait in a tray above the words until chat.js sends them;
// pictures in the transcript open large. An entry of the tray is its file: {file, preview}.

const chat = document.getElementById("chat");
const words = document.getElementById("words");
const picked = document.getElementById("picked");
const problem = document.getElementById("problem");
const files = document.getElementById("files");
const say = chat.dataset;
const taken = new Set(files.accept.split(","));
const SHOWN = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]);
// Asked for no HEIC, an iPhone makes a JPEG of the picture that is picked, which everybody can see.
if (matchMedia("(pointer: coarse)").matches) files.accept = [...taken].filter((each) => !/hei[cf]$/.test(each)).join();

document.getElementById("pick").addEventListener("click", () => files.click());
files.addEventListener("change", () => { add(files.files); files.value = ""; });

function add(chosen) {
  problem.replaceChildren();
  for (const file of chosen) {
    const reason = refusal(file);
    if (reason) problem.append(refused(file.name, reason));
    else picked.append(entry(file));
  }
  problem.hidden = !problem.hasChildNodes();
  picked.lastElementChild?.scrollIntoView({ block: "nearest" });
  words.focus();
}

// What the server would say of it, before it is on its way.
function refusal({ name, type, size }) {
  const ending = name.slice(name.lastIndexOf(".")).toLowerCase();
  if (!size || !(taken.has(type) || taken.has(ending))) return say.wrongType;
  return size > Number(say.maxFile) ? say.tooLarge : "";
}

function refused(name, reason) {
  const line = document.createElement("span");
  const which = document.createElement("b");
  which.textContent = name;
  line.append(which, ` ${reason}`);
  return line;
}

function entry(file) {
  const item = document.createElement("li");
  item.file = file;
  if (SHOWN.has(file.type)) {
    const picture = document.createElement("img");
    picture.src = item.preview = URL.createObjectURL(file); // the line goes on showing it
    picture.alt = picture.title = file.name;
    item.append(picture);
  } else {
    const name = document.createElement("span");
    name.textContent = file.name;
    item.append(name);
  }
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "✕";
  remove.ariaLabel = `${say.remove} ${file.name}`;
  remove.addEventListener("click", () => drop(item));
  item.append(remove);
  return item;
}

function drop(item) {
  const next = item.nextElementSibling ?? item.previousElementSibling;
  if (item.preview) URL.revokeObjectURL(item.preview);
  item.remove();
  (next?.querySelector("button") ?? words).focus();
}

// Office programs put a picture of the words beside the words: those are meant.
document.addEventListener("paste", (event) => {
  const { files: pasted, types } = event.clipboardData;
  if (!pasted.length || (types.includes("text/plain") && types.includes("text/html"))) return;
  event.preventDefault();
  add(pasted);
});

const brings = ({ dataTransfer }) => dataTransfer.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  chat.classList.add("dropping");
});
document.addEventListener("dragleave", ({ relatedTarget }) => { if (!relatedTarget) chat.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  chat.classList.remove("dropping");
  if (!brings(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});

// ── pictures ──
const picture = document.getElementById("picture");
document.getElementById("lines").addEventListener("click", (event) => {
  const link = event.target.closest("a.file:has(img)");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [small, large, save] = [link.querySelector("img"), picture.querySelector("img"), picture.querySelector("a")];
  [large.src, large.alt, save.href, save.download] = [small.src, small.alt, link.href, link.download];
  picture.showModal();
});
picture.addEventListener("click", ({ target }) => { if (target === picture) picture.close(); });
