// Shows what a list would do as soon as it is chosen, before anything is imported.

for (const form of document.querySelectorAll("form[data-import]")) {
  const file = form.querySelector("input[type=file]");
  const seen = form.querySelector("[data-preview]");
  let asked = 0;
  file.addEventListener("change", async () => {
    const mine = ++asked;
    seen.replaceChildren();
    if (!file.files.length) return;
    const body = new FormData(form);
    const answer = await fetch(form.dataset.import, { method: "POST", body }).catch(() => null);
    if (mine === asked && answer?.ok) seen.innerHTML = await answer.text();
  });
}
