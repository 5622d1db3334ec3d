// The sandbox phone: rings, speaks what it hears, listens for keys and typed words, shows texts.
// The server says what the phone is now; a step of a call is told back by its number, so it is taken once.

const phone = document.getElementById("phone");
const say = phone.dataset;
const part = (id) => document.getElementById(id);
const [state, lines, ear, earWords, trouble] = ["state", "lines", "ear", "ear-words", "trouble"].map(part);
const { ENDED, TALKING, RINGING } = { ENDED: ["completed", "busy", "no-answer", "failed", "canceled"], TALKING: "in-progress", RINGING: "ringing" };

let call = null;
let playing = 0; // what is being spoken or waited for; a higher number makes the older one stop
let shownStep = "";
let digits = "";

// ── telling the server ──
async function post(path, body = {}) {
  trouble.hidden = true;
  try {
    const answer = await fetch(`${say.url}/${path}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    if (answer.ok) return true;
    const told = await answer.json().catch(() => ({}));
    complain(typeof told.error === "string" ? told.error : say.wrong);
  } catch {
    complain(say.wrong);
  }
  return false;
}

function complain(words) {
  trouble.textContent = words;
  trouble.hidden = false;
}

async function goOn(heard = {}) {
  if (call?.state !== TALKING) return;
  const { id, step } = call;
  stop();
  digits = "";
  if (!(await post(`calls/${id}/next`, { step, ...heard }))) {
    await pause(3000);
    if (call?.id === id && call.step === step) goOn(heard);
  }
}

// ── the bell ──
let audio = null;
let bell = null;
document.addEventListener("pointerdown", () => { audio ??= new AudioContext(); audio.resume(); }, { capture: true });

function ring(on) {
  if (on === Boolean(bell)) return;
  if (!on) { clearInterval(bell); bell = null; return; }
  const beep = () => {
    audio ??= new AudioContext();
    if (audio.state !== "running") return; // the browser wants a touch of the page first
    for (const [pitch, at] of [[880, 0], [660, 0.22], [880, 0.44]]) {
      const tone = audio.createOscillator();
      const loud = audio.createGain();
      tone.frequency.value = pitch;
      loud.gain.setValueAtTime(0.0001, audio.currentTime + at);
      loud.gain.exponentialRampToValueAtTime(0.2, audio.currentTime + at + 0.03);
      loud.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + at + 0.2);
      tone.connect(loud).connect(audio.destination);
      tone.start(audio.currentTime + at);
      tone.stop(audio.currentTime + at + 0.22);
    }
  };
  beep();
  bell = setInterval(beep, 2000);
}

// ── speaking: aloud where the browser has a voice, else for as long as it would take ──
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
let skipped = () => {};

function stop() {
  playing += 1;
  window.speechSynthesis?.cancel();
  skipped();
  ear.hidden = true;
}

const takes = (text) => Math.max(900, [...text].reduce((ms, c) => ms + (c > "\u2e7f" ? 190 : 65), 0));

function speak({ text, language, pause: silence }) {
  const skip = new Promise((done) => { skipped = done; });
  if (!text) return Promise.race([skip, pause(silence * 1000)]);
  const voices = window.speechSynthesis?.getVoices() ?? [];
  const tongue = language.slice(0, 2).toLowerCase();
  const voice = voices.find((v) => v.lang.toLowerCase().startsWith(tongue));
  if (!part("aloud").checked || !voice) return Promise.race([skip, pause(takes(text))]);
  const aloud = new Promise((done) => {
    const words = new SpeechSynthesisUtterance(text);
    Object.assign(words, { lang: language, voice, rate: 0.95, onend: done, onerror: done });
    window.speechSynthesis.speak(words);
  });
  return Promise.race([skip, aloud, pause(takes(text) * 3 + 3000)]);
}

async function play(now) {
  stop();
  const mine = playing;
  ear.hidden = false;
  part("skip").hidden = false;
  earWords.textContent = say.speaking;
  for (const heard of now.heard) {
    await speak(heard);
    if (mine !== playing) return;
  }
  if (now.ear) listen(now.ear, mine);
  else if (now.tape) record(now.tape, mine);
  else if (now.talk) together(now.talk);
  else goOn();
}

// ── a message after the beep: typed or spoken words are what is recorded ──
function record(tape, mine) {
  beep();
  part("skip").hidden = true;
  let left = tape.timeout * 4; // typing takes longer than speaking
  quiet = () => { left = tape.timeout * 4; };
  const tick = () => {
    if (mine !== playing) return;
    earWords.textContent = `${say.beep} · ${Math.ceil(left)}`;
    if (left <= 0) { goOn(); return; }
    left -= 0.5;
    setTimeout(tick, 500);
  };
  tick();
}

function beep() {
  if (audio?.state !== "running") return;
  const tone = audio.createOscillator();
  const loud = audio.createGain();
  tone.frequency.value = 1000;
  loud.gain.value = 0.12;
  tone.connect(loud).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.4);
}

// ── two phones connected: nothing runs out, either side speaks when it likes ──
function together(how) {
  ear.hidden = false;
  part("skip").hidden = true;
  earWords.textContent = how === "ringing" ? say.ringingOther : say.connected;
}

let quiet = () => {}; // somebody is typing: silence begins anew

function listen(what, mine) {
  part("skip").hidden = true;
  let left = what.timeout;
  quiet = () => { left = what.timeout; };
  const tick = () => {
    if (mine !== playing) return;
    earWords.textContent = digits ? `${say.pressed} ${digits}` : `${say.listening} · ${Math.ceil(left)}`;
    if (left <= 0) { goOn(digits ? { digits } : {}); return; }
    left -= 0.5;
    setTimeout(tick, 500);
  };
  tick();
}

part("skip").addEventListener("click", () => { window.speechSynthesis?.cancel(); skipped(); });

// ── what the person does ──
function press(key) {
  if (call?.tape && key === "#") { tell(); return; }
  if (!call?.ear) return;
  const { digits: wanted, finish } = call.ear;
  const alone = key === "*" || (key === "0" && !digits);
  if (key !== finish) digits += key;
  earWords.textContent = `${say.pressed} ${digits}`;
  ear.hidden = false;
  if (alone || (key === finish && digits) || (wanted && digits.length >= wanted)) goOn({ digits });
  else if (playing) listenAgain();
}

function listenAgain() { // pressing keys while something is said interrupts it
  const now = call;
  stop();
  ear.hidden = false;
  listen(now.ear, playing);
}

part("keypad").addEventListener("click", (event) => {
  const key = event.target.closest("[data-key]")?.dataset.key;
  if (key) press(key);
});
document.addEventListener("keydown", (event) => {
  if (!/^[0-9*#]$/.test(event.key) || event.target.closest("input, textarea") || part("talk").hidden) return;
  press(event.key);
});
part("words").addEventListener("input", () => quiet());
part("speak").addEventListener("submit", (event) => {
  event.preventDefault();
  tell();
});

function tell() {
  const speech = part("words").value.trim();
  if (!speech || !(call?.ear || call?.tape || call?.talk)) return;
  part("words").value = "";
  goOn({ speech });
}

// ── the microphone, where the browser understands speech ──
const Hears = window.SpeechRecognition ?? window.webkitSpeechRecognition;
let hearing = null;
if (Hears) {
  part("mic").hidden = false;
  part("mic").addEventListener("click", () => {
    if (hearing) { hearing.stop(); return; }
    window.speechSynthesis?.cancel();
    hearing = new Hears();
    hearing.lang = call?.heard?.[0]?.language ?? document.documentElement.lang;
    hearing.interimResults = true;
    hearing.onresult = (event) => {
      part("words").value = Array.from(event.results, (result) => result[0].transcript).join("");
      quiet();
    };
    hearing.onend = () => {
      hearing = null;
      part("mic").setAttribute("aria-pressed", "false");
      part("words").placeholder = typed;
      tell();
    };
    hearing.onerror = (event) => { if (event.error !== "no-speech" && event.error !== "aborted") part("mic").hidden = true; };
    part("mic").setAttribute("aria-pressed", "true");
    part("words").placeholder = say.listen;
    hearing.start();
  });
}
const typed = part("words").placeholder;
part("dial").addEventListener("click", () => post("dial"));
part("answer").addEventListener("click", () => post(`calls/${call.id}/answer`));
for (const id of ["decline", "hang-up"]) {
  part(id).addEventListener("click", () => { stop(); post(`calls/${call.id}/hang-up`); });
}
part("text-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = part("text");
  const said = text.value;
  if (!said.trim()) return;
  text.dataset.id ||= Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
  if (await post("texts", { text: said, client_id: text.dataset.id })) { text.value = ""; delete text.dataset.id; }
});
part("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  part("text-form").requestSubmit();
});

// ── what the phone shows ──
function bubbles(list, items, draw) {
  const was = list.scrollTop;
  list.replaceChildren(...items.map((item) => {
    const line = document.createElement("li");
    draw(line, item);
    return line;
  }));
  list.scrollTop = was;
  if (list.dataset.count === String(items.length)) return;
  list.dataset.count = items.length;
  list.scrollTop = list.scrollHeight;
}

// A link in a text is one to press, as on a real phone; a file that came with it is shown, or opens.
function linked(text) {
  return text.split(/(https?:\/\/[^\s，。]+)/).map((piece, at) => at % 2 ? anchor(piece, piece) : piece);
}
function anchor(address, ...shown) {
  const link = Object.assign(document.createElement("a"), { href: address, target: "_blank", rel: "noopener" });
  link.append(...shown);
  return link;
}
function enclosed({ link, name, picture }) {
  if (!picture) return anchor(link, `📎 ${name}`);
  return anchor(link, Object.assign(document.createElement("img"), { src: link, alt: name }));
}

function draw(now) {
  call = now.call;
  const ringing = call?.state === RINGING;
  const talking = call?.state === TALKING;
  phone.classList.toggle("ringing", ringing);
  ring(ringing);
  state.textContent = ringing ? say.ringing.replace("{company}", say.company)
    : talking ? say.talking
      : call && ENDED.includes(call.state) ? say[{ "no-answer": "noAnswer", busy: "busy", failed: "failed", canceled: "canceled" }[call.state] ?? "completed"]
        : say.idle;
  part("dial").hidden = ringing || talking;
  part("answer").hidden = part("decline").hidden = !ringing;
  part("hang-up").hidden = part("talk").hidden = !talking;
  bubbles(lines, call?.lines ?? [], (line, { who, text }) => {
    line.className = who;
    if (who === "peer") line.dataset.who = say.other;
    line.textContent = text;
  });
  bubbles(part("texts"), now.texts, (line, { direction, text, at, segments, file }) => {
    line.className = direction;
    const when = document.createElement("small");
    when.textContent = segments > 1 ? `${at} · ${say.segments.replace("{n}", segments)}` : at;
    line.append(...(file ? [enclosed(file)] : []), ...linked(text), when);
  });
  for (const link of document.querySelectorAll(".directory [data-phone]")) {
    link.querySelector(".badge.bad").hidden = !now.ringing.includes(link.dataset.phone);
  }
  document.title = document.title.replace(/^(☎ )?/, ringing ? "☎ " : "");
  const step = talking ? `${call.id}:${call.step}` : "";
  if (step === shownStep) return;
  shownStep = step;
  if (step) play(call);
  else stop();
}

part("texts").dataset.empty = say.noTexts;
const stream = new EventSource(`${say.url}/events`);
stream.addEventListener("phone", (event) => { trouble.hidden = true; draw(JSON.parse(event.data)); });
stream.addEventListener("error", () => complain(say.lost));
