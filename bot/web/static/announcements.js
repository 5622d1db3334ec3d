// A draft's preview follows what is typed; approving waits until what is shown has been saved.

const form = document.querySelector("form[data-preview]");
const preview = document.getElementById("preview");
const approvals = document.querySelectorAll("form[data-saved-only] button");
let waiting;
let asked = 0;

async function refresh() {
  const mine = ++asked;
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.ok && mine === asked) preview.innerHTML = await answer.text();
  } catch {
    // the page keeps the last preview; saving says what is wrong
  }
}

form?.addEventListener("input", () => {
  for (const button of approvals) button.disabled = true;
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 350);
});
