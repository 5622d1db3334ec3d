// What everybody should know now: public notices at the top of the chat, looked for once a minute.

const place = document.getElementById("notices");
const EVERY = 60_000;

async function look() {
  try {
    const answer = await fetch(`/notices.json?language=${document.documentElement.lang.slice(0, 2)}`);
    if (answer.ok) show(await answer.json());
  } catch {
    // the page keeps what it shows; it looks again in a minute
  }
}

function show(notices) {
  place.replaceChildren(
    ...notices.map((notice) => {
      const line = document.createElement("p");
      line.className = notice.over ? "notice good" : "notice warn";
      line.textContent = notice.text;
      return line;
    }),
  );
  place.hidden = notices.length === 0;
}

look();
setInterval(look, EVERY);
