// Clocks of steps: the time left at drawing, counted down from there at the pace of the page's own clock.

const drawn = new WeakMap();
const pace = Number(document.querySelector("[data-pace]")?.dataset.pace || 1);
const two = (n) => String(Math.floor(n)).padStart(2, "0");

function tick() {
  for (const clock of document.querySelectorAll("time.due, time.since")) {
    if (!drawn.has(clock)) drawn.set(clock, performance.now());
    const passed = ((performance.now() - drawn.get(clock)) / 1000) * pace;
    const counts = clock.classList.contains("due");
    const seconds = counts ? Number(clock.dataset.left) - passed : Number(clock.dataset.seconds) + passed;
    const size = Math.abs(seconds);
    const [h, m, s] = [Math.floor(size / 3600), (size % 3600) / 60, size % 60];
    const text = `${seconds < 0 ? "−" : ""}${h ? `${h}:${two(m)}` : Math.floor(m)}:${two(s)}`;
    if (clock.textContent !== text) clock.textContent = text; // else the observer below would never rest
    if (!counts) continue;
    clock.classList.toggle("soon", seconds >= 0 && seconds < 300);
    clock.classList.toggle("late", seconds < 0);
  }
}
setInterval(tick, 1000);
new MutationObserver(tick).observe(document.body, { childList: true, subtree: true });
tick();
